from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dmix.backbones.parameter_group import ParameterGroup
from dmix.backbones.wideresnet import WideResNet
from dmix.engine.weight_decay import exempt_from_decay
from dmix.errors import DmixError

MOMENTUM = 0.001
# Numbers of parameters: all, decayed, of batch norms, other biases.
SIZES = {
    (2, 10): (1_469_642, 1_463_984, 3616, 2042),
    (8, 100): (23_409_092, 23_386_544, 14_368, 8180),
}
QUIRK = pytest.mark.parametrize("quirk", [True, False], ids=["quirk", "plain"])
SMALL = pytest.mark.parametrize(("depth", "widen"), [(10, 1), (16, 2)], ids=["10-1", "16-2"])


def network(classes, depth, widen, quirk=True, momentum=MOMENTUM):
    return WideResNet(classes, depth=depth, widen=widen, preact_quirk=quirk, norm_momentum=momentum)


def on_meta(classes, depth, widen):
    with torch.device("meta"):
        return network(classes, depth, widen)


def size(parameters):
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize(("widen", "classes"), SIZES)
def test_parameters_and_decay_groups_are_golden(widen, classes):
    model = on_meta(classes, 28, widen)
    total, decayed, of_norms, other_biases = SIZES[widen, classes]
    assert size(model.parameters()) == total
    everything = [ParameterGroup(tuple(model.parameters()), {})]
    weights, spared = exempt_from_decay(everything, model.named_parameters(), "vectors")
    assert (weights.settings, spared.settings) == ({}, {"weight_decay": 0.0})
    assert size(weights.parameters) == decayed
    assert size(spared.parameters) == of_norms + other_biases
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert sum(size(norm.parameters()) for norm in norms) == of_norms


def test_groups_have_the_published_shapes():
    model = on_meta(100, 28, 8)
    images = torch.empty(2, 3, 32, 32, device="meta")
    shapes = [tuple(output.shape) for output in model.features(images)]
    assert shapes == [(2, 128, 32, 32), (2, 256, 16, 16), (2, 512, 8, 8)]
    assert model.channels == (128, 256, 512)
    assert model(images).shape == (2, 100)


def written_out(model, images, depth, widen, quirk):
    """TorchSSL's network, operation by operation, with copies of the model's weights in their order.

    Returns logits, and the buffers of every batch norm after a step in training mode, in the same order.
    """
    weights = iter(value.clone() for value in model.state_dict().values())
    moved = []

    def act(x):
        gain, shift, mean, var, count = (next(weights) for _ in range(5))
        if model.training:
            n = x[:, 0].numel()
            now, spread = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            unbiased = spread * n / (n - 1)
            moved.append((0.999 * mean + 0.001 * now, 0.999 * var + 0.001 * unbiased, count + 1))
            mean, var = now, spread
        mean, var, gain, shift = (value.view(1, -1, 1, 1) for value in (mean, var, gain, shift))
        x = (x - mean) / torch.sqrt(var + 0.001) * gain + shift
        return torch.where(x > 0, x, 0.1 * x)

    x = F.conv2d(images, next(weights), next(weights), padding=1)
    for group, (width, stride) in enumerate(((16, 1), (32, 2), (64, 2))):
        for block in range((depth - 4) // 6):
            first = stride if block == 0 else 1
            h = act(x)
            read = x if quirk and group > 0 and block == 0 else h
            inner = act(F.conv2d(read, next(weights), next(weights), stride=first, padding=1))
            out = F.conv2d(inner, next(weights), next(weights), padding=1)
            if x.shape[1] != width * widen:
                x = F.conv2d(h if group == 0 else x, next(weights), next(weights), stride=first)
            x = x + out
    logits = F.linear(act(x).mean((2, 3)), next(weights), next(weights))
    assert next(weights, None) is None
    return logits, moved


def shaken(model):
    """The network with statistics and factors unlike those it starts with, in float64."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    return model.double()


@QUIRK
@SMALL
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_logits_and_running_statistics_are_those_of_the_network_written_out(depth, widen, quirk, training):
    torch.manual_seed(0)
    model = shaken(network(5, depth, widen, quirk)).train(training)
    images = torch.randn(3, 3, 12, 20, dtype=torch.float64)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad():
        expected, moved = written_out(model, images, depth, widen, quirk)
        torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-10)
    buffers = dict(model.named_buffers())
    statistics = [value for norm in moved for value in norm] if training else before.values()
    for (name, found), value in zip(buffers.items(), statistics, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)
        assert torch.equal(found, before[name]) != training


def gradients(model):
    model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@SMALL
def test_the_quirk_leaves_two_batch_norms_without_gradient(depth, widen):
    torch.manual_seed(0)
    model = network(5, depth, widen)
    found = gradients(model)
    unread = {f"stages.{group}.0.activation.0.{name}" for group in (1, 2) for name in ("weight", "bias")}
    assert {name for name, gradient in found.items() if gradient is None} == unread
    assert {name for name, parameter in model.named_parameters() if not parameter.requires_grad} == unread
    assert all(gradient.any() for name, gradient in found.items() if name not in unread)


@SMALL
def test_without_it_every_parameter_has_a_gradient(depth, widen):
    torch.manual_seed(0)
    model = network(5, depth, widen, quirk=False)
    assert all(gradient.any() for gradient in gradients(model).values())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_quirk_changes_neither_weights_nor_their_names():
    with torch.random.fork_rng():
        states = []
        for quirk in (True, False):
            torch.manual_seed(0)
            states.append(network(5, 16, 2, quirk).state_dict())
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_all_batch_norms_are_torchssls():
    norms = [m for m in on_meta(10, 28, 2).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 2 * 12 + 1
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.001)}
    norms = [m for m in network(10, 10, 1, momentum=0.1).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.001, 0.1)}


def assert_deviates(values, expected):
    """Within four standard errors of the estimate of a normal standard deviation."""
    assert values.std().item() == pytest.approx(expected, abs=4 * expected / math.sqrt(2 * values.numel()))


def test_weights_start_as_torchssls():
    torch.manual_seed(0)
    model = network(50, 10, 4)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 1 + 3 * 3
    for module in convolutions:
        outputs, inputs, height, width = module.weight.shape
        assert_deviates(module.weight, math.sqrt(2 / (outputs * height * width)))
        bound = 1 / math.sqrt(inputs * height * width)  # torch's own: uniform up to there
        assert 0.8 * bound < module.bias.abs().max() <= bound
        assert_deviates(module.bias, bound / math.sqrt(3))
    classifier = model.head[-1]
    assert_deviates(classifier.weight, math.sqrt(2 / (256 + 50)))
    assert not classifier.bias.any()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


def test_head_is_pooling_and_classifier():
    model = network(10, 10, 1)
    assert [type(layer) for layer in model.head] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear]
    assert model.head[-1].in_features == model.channels[-1] == 64


def test_a_depth_without_whole_blocks_is_refused():
    with pytest.raises(DmixError, match="cannot have 27 layers") as caught:
        network(10, 27, 1)
    assert caught.value.way_out == "set it to 22 or 28"
