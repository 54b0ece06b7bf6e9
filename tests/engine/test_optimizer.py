"""One and more steps of every optimiser against loops in numpy, and what weight decay leaves alone."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
import torch
from torch import nn

from dmix import vision
from dmix.backbones.parameter_group import ParameterGroup
from dmix.engine.optimizers import adamw as adamw_part
from dmix.engine.optimizers import lamb as lamb_part
from dmix.engine.optimizers import sgd as sgd_part
from dmix.engine.weight_decay import exempt_from_decay
from small_backbones import small_backbone
from small_runs import ADAPTIVE

SHAPES = {"conv.weight": (4, 3, 2, 2), "norm.weight": (5,), "head.bias": (3,), "stem.cls_token": (1, 1, 6)}


def timm_lamb(*given, **settings):
    vision.timm()
    return importlib.import_module("timm.optim").Lamb(*given, **settings)


def parameters(seed=0):
    rng = np.random.default_rng(seed)
    return {name: nn.Parameter(torch.from_numpy(rng.normal(size=shape))) for name, shape in SHAPES.items()}


def gradients(step, seed=1):
    rng = np.random.default_rng([seed, step])
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def sgd(theta, grads, *, lr, beta, decay, nesterov=False):
    momentum = np.zeros_like(theta)
    for number, grad in enumerate(grads):
        g = grad + decay * theta
        momentum = g if number == 0 else beta * momentum + g
        theta = theta - lr * (g + beta * momentum if nesterov else momentum)
    return theta


def adamw(theta, grads, *, lr, beta, beta2, eps, decay):
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, grad in enumerate(grads, start=1):
        theta = theta - lr * decay * theta
        m = beta * m + (1 - beta) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        theta = theta - lr * (m / (1 - beta**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return theta


def lamb(theta, grads, *, lr, beta, beta2, eps, decay):
    """You et al., 2020; parameters that do not decay are not adapted, as in timm and OpenMixup."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, grad in enumerate(grads, start=1):
        m = beta * m + (1 - beta) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        update = (m / (1 - beta**t)) / (np.sqrt(v / (1 - beta2**t)) + eps) + decay * theta
        trust = math.sqrt((theta**2).sum()) / math.sqrt((update**2).sum()) if decay else 1.0
        theta = theta - lr * trust * update
    return theta


MORE = {"beta2": 0.99, "eps": 1e-6}
# The part, the naive loop, and the settings beside momentum.
OPTIMIZERS = {
    "sgd": (sgd_part.sgd, sgd, {}),
    "nesterov": (sgd_part.sgd, sgd, {"nesterov": True}),
    "adamw": (adamw_part.adamw, adamw, MORE),
    "lamb": (lamb_part.lamb, lamb, MORE),
}


@pytest.mark.parametrize("exempt", ["nothing", "vectors", "vectors_and_embeddings"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_naive_loop(name, exempt):
    build, naive, more = OPTIMIZERS[name]
    theirs = {"conv.weight": 0.3, "norm.weight": 0.3, "head.bias": 0.3, "stem.cls_token": 0.3}
    if exempt != "nothing":
        theirs |= {"norm.weight": 0.0, "head.bias": 0.0}
    if exempt == "vectors_and_embeddings":
        theirs |= {"stem.cls_token": 0.0}

    found = parameters()
    groups = exempt_from_decay([ParameterGroup(tuple(found.values()), {})], found.items(), exempt)
    optimizer = build(groups, 0.02, 0.3, momentum=0.8, **more)
    for step in range(4):
        for parameter, grad in zip(found.values(), gradients(step).values(), strict=True):
            parameter.grad = torch.from_numpy(grad)
        optimizer.step()

    for key, start in parameters().items():
        history = [gradients(step)[key] for step in range(4)]
        expected = naive(start.detach().numpy(), history, lr=0.02, beta=0.8, decay=theirs[key], **more)
        np.testing.assert_allclose(found[key].detach().numpy(), expected, rtol=1e-11, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_group_keeps_what_it_sets_itself(name):
    build, _, more = OPTIMIZERS[name]
    recipes_own, own = (tuple(parameters(seed).values()) for seed in (0, 1))
    group = ParameterGroup(own, {"lr": 0.5, "lr_end": 0.1, "momentum": 0.4, "weight_decay": 0.2})
    optimizer = build([ParameterGroup(recipes_own, {}), group], 0.02, 0.3, momentum=0.8, **more)
    first, second = optimizer.param_groups
    assert [first["params"], second["params"]] == [list(recipes_own), list(own)]
    assert (first["weight_decay"], second["weight_decay"]) == (0.3, 0.2)
    momenta = [g["momentum"] if "momentum" in g else g["betas"][0] for g in optimizer.param_groups]
    assert momenta == [0.8, 0.4]
    if "eps" in more:
        assert [g["betas"][1] for g in optimizer.param_groups] == [0.99, 0.99]
        assert [g["eps"] for g in optimizer.param_groups] == [1e-6, 1e-6]


def test_lamb_does_not_clip_by_itself():
    """timm's and OpenMixup's do, to 1, unseen; with their settings the steps are theirs."""
    ours, clipped, theirs = parameters(), parameters(), parameters()
    rest = {"lr": 0.02, "betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.1}
    optimizers = [
        lamb_part.lamb([ParameterGroup(tuple(given.values()), {})], 0.02, 0.1, **ADAPTIVE)
        for given in (ours, clipped)
    ]
    published = timm_lamb(theirs.values(), **rest)
    for step in range(3):
        for given in (ours, clipped, theirs):
            for parameter, grad in zip(given.values(), gradients(step).values(), strict=True):
                parameter.grad = 100 * torch.from_numpy(grad) / (step + 1) ** 3
        torch.nn.utils.clip_grad_norm_(clipped.values(), 1.0)
        for optimizer in (*optimizers, published):
            optimizer.step()
    for name in SHAPES:
        torch.testing.assert_close(clipped[name], theirs[name], rtol=1e-7, atol=1e-9)
        assert (ours[name] - theirs[name]).abs().max() > 1e-4


@pytest.mark.parametrize("backbone", ["resnet", "vit", "swin"])
def test_what_decays_is_weights_of_layers(backbone):
    model = small_backbone(backbone)
    everything = dict(model.named_parameters())
    decayed = {}
    for exempt in ("vectors", "vectors_and_embeddings"):
        groups = exempt_from_decay(
            [ParameterGroup(tuple(model.parameters()), {})], everything.items(), exempt
        )
        weights, spared = groups
        assert (weights.settings, spared.settings) == ({}, {"weight_decay": 0.0})
        assert len({*weights.parameters, *spared.parameters}) == len(everything)
        decayed[exempt] = {name for name, p in everything.items() if any(p is w for w in weights.parameters)}
    layers = {
        f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    }
    assert decayed["vectors_and_embeddings"] == layers
    embeddings = decayed["vectors"] - layers
    expected = {
        "resnet": set(),
        "vit": {"stem.cls_token", "stem.pos_embed"},
        "swin": {name for name in everything if name.endswith("relative_position_bias_table")},
    }
    assert embeddings == expected[backbone]
    assert bool(embeddings) == (backbone != "resnet")


def test_groups_are_split_each_behind_itself_and_never_empty():
    named = {**parameters(), "extra.bias": nn.Parameter(torch.zeros(2, 2))}
    groups = [
        ParameterGroup((named["conv.weight"], named["norm.weight"]), {"lr": 0.5}),
        ParameterGroup((named["stem.cls_token"],), {"momentum": 0.1}),
        ParameterGroup((named["extra.bias"],), {"weight_decay": 0.4}),
    ]
    found = exempt_from_decay(groups, named.items(), "vectors")
    assert [group.settings for group in found] == [
        {"lr": 0.5},
        {"lr": 0.5, "weight_decay": 0.0},
        {"momentum": 0.1},
        {"weight_decay": 0.0},
    ]
    assert [group.parameters for group in found] == [
        (named["conv.weight"],),
        (named["norm.weight"],),
        (named["stem.cls_token"],),
        (named["extra.bias"],),
    ]
    assert exempt_from_decay(groups, (), "nothing") == groups
