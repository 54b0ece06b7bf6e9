from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dmix.errors import DmixError
from dmix.models.wideresnet import WideResNet


def counted(depth, widen, classes):
    """The number of parameters, summed layer by layer from Table 1 of the paper."""
    total = 27 * 16
    inputs = 16
    for outputs in (16 * widen, 32 * widen, 64 * widen):
        for _ in range((depth - 4) // 6):
            total += 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs * outputs
            total += inputs * outputs if inputs != outputs else 0
            inputs = outputs
    return total + 2 * inputs + inputs * classes + classes


def on_meta(classes, depth, widen):
    with torch.device("meta"):
        return WideResNet(classes, depth=depth, widen=widen)


@pytest.mark.parametrize(
    ("depth", "widen", "classes", "millions"),
    [
        (40, 1, 10, 0.6),
        (40, 4, 10, 8.9),
        (22, 8, 10, 17.2),
        (16, 8, 10, 11.0),
        (28, 10, 10, 36.5),
        (28, 8, 100, 23.4),
    ],
)
def test_parameters_are_counted_as_published(depth, widen, classes, millions):
    """Millions as in the paper's Table 4, rounded or cut; WRN-28-8 as in the semi-supervised literature."""
    found = sum(parameter.numel() for parameter in on_meta(classes, depth, widen).parameters())
    assert found == counted(depth, widen, classes)
    assert found / 1e6 == pytest.approx(millions, abs=0.06)


def test_groups_have_the_published_shapes():
    model = on_meta(100, 28, 8)
    images = torch.empty(2, 3, 32, 32, device="meta")
    shapes = [tuple(output.shape) for output in model.features(images)]
    assert shapes == [(2, 128, 32, 32), (2, 256, 16, 16), (2, 512, 8, 8)]
    assert model.channels == (128, 256, 512)
    assert model(images).shape == (2, 100)


def functional(model, images, depth, widen, dropout):
    """The network of the paper, written out; it takes copies of the model's weights in their order."""
    weights = iter(value.clone() for value in model.state_dict().values())

    def bn_relu(x):
        gain, shift, mean, var, _ = (next(weights) for _ in range(5))
        return F.relu(F.batch_norm(x, mean, var, gain, shift, model.training))

    h = F.conv2d(images, next(weights), padding=1)
    for width, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range((depth - 4) // 6):
            first = stride if block == 0 else 1
            active = bn_relu(h)
            inner = bn_relu(F.conv2d(active, next(weights), stride=first, padding=1))
            inner = F.dropout(inner, dropout, model.training)
            out = F.conv2d(inner, next(weights), padding=1)
            if h.shape[1] != width * widen or first != 1:
                h = F.conv2d(active, next(weights), stride=first)
            h = h + out
    h = bn_relu(h).mean((2, 3))
    logits = F.linear(h, next(weights), next(weights))
    assert next(weights, None) is None
    return logits


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("depth", "widen", "dropout"), [(10, 1, 0.0), (16, 2, 0.0), (16, 1, 0.3)], ids=["10-1", "16-2", "dropout"]
)
def test_logits_are_those_of_the_paper_written_out(depth, widen, dropout, training):
    torch.manual_seed(0)
    model = WideResNet(5, depth=depth, widen=widen, dropout=dropout).train(training)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    images = torch.randn(3, 3, 12, 20)
    with torch.no_grad():
        torch.manual_seed(1)
        expected = functional(model, images, depth, widen, dropout)
        torch.manual_seed(1)
        torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-6)


def test_convolutions_start_at_the_scale_of_he():
    torch.manual_seed(0)
    model = WideResNet(5, depth=10, widen=4)
    weights = [module.weight for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(weights) == 10
    for weight in weights:
        outputs, _, height, width = weight.shape
        expected = math.sqrt(2 / (outputs * height * width))
        error = expected / math.sqrt(2 * weight.numel())  # of the estimate of a normal standard deviation
        assert weight.std().item() == pytest.approx(expected, abs=4 * error)


def test_a_depth_without_whole_blocks_is_refused():
    with pytest.raises(DmixError, match="cannot have 27 layers") as caught:
        WideResNet(10, depth=27, widen=1)
    assert caught.value.way_out == "set it to 22 or 28"
