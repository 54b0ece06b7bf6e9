"""The optimisers of the recipes, and what their weight decay leaves alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from dmix import vision
from dmix.backbones.parameter_group import ParameterGroup

EMBEDDINGS = ("cls_token", "pos_embed", "relative_position_bias_table")
"""Last part of the names of parameters that are neither weights nor biases: timm's, of ViT and Swin."""


def build_optimizer(groups: Sequence[ParameterGroup], recipe: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return the recipe's optimiser, with one parameter group for each of `groups`, in their order.

    "sgd" and "adamw" are torch's, "lamb" is timm's. A group's own settings stand in place of the recipe's;
    `momentum` is the first beta of adamw and lamb. The learning rate is set anew at every step.
    """
    own = [{**recipe, **group.settings} for group in groups]
    lr = recipe["lr"]
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(
            [
                {"params": group.parameters, **{key: its[key] for key in ("momentum", "weight_decay")}}
                for group, its in zip(groups, own, strict=True)
            ],
            lr=lr,
            momentum=recipe["momentum"],
            nesterov=recipe["nesterov"],
        )
    adaptive = [
        {
            "params": group.parameters,
            "betas": (its["momentum"], its["beta2"]),
            "eps": its["eps"],
            "weight_decay": its["weight_decay"],
        }
        for group, its in zip(groups, own, strict=True)
    ]
    if recipe["optimizer"] == "adamw":
        return torch.optim.AdamW(adaptive, lr=lr)
    vision.timm()
    kind = importlib.import_module("timm.optim").Lamb
    # By itself it clips the whole gradient to a norm of 1; here clipping is the recipe's clip_norm.
    lamb: torch.optim.Optimizer = kind(adaptive, lr=lr, max_grad_norm=None)
    return lamb


def exempt_from_decay(
    groups: Iterable[ParameterGroup],
    named: Iterable[tuple[str, nn.Parameter]],
    exempt: Literal["nothing", "vectors", "vectors_and_embeddings"],
) -> list[ParameterGroup]:
    """Return `groups` with each one's exempt parameters in a group of their own behind it, of weight decay 0.

    Parameters
    ----------
    named: at least the parameters of the groups, with their names.
    exempt: "vectors" are the parameters of one dimension (of norms, too) and the biases;
        "vectors_and_embeddings" also the class token, position embeddings and tables of position biases.
    """
    if exempt == "nothing":
        return list(groups)
    names = {parameter: name.rpartition(".")[2] for name, parameter in named}

    def is_exempt(parameter: nn.Parameter) -> bool:
        name = names[parameter]
        vector = parameter.ndim <= 1 or name == "bias"
        return vector or (exempt == "vectors_and_embeddings" and name in EMBEDDINGS)

    found: list[ParameterGroup] = []
    for group in groups:
        decayed = tuple(p for p in group.parameters if not is_exempt(p))
        spared = tuple(p for p in group.parameters if is_exempt(p))
        parts = (
            ParameterGroup(decayed, group.settings),
            ParameterGroup(spared, {**group.settings, "weight_decay": 0.0}),
        )
        found += [part for part in parts if part.parameters]
    return found
