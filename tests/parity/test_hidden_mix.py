from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dmix.backbones.backbone import Backbone, HiddenMix
from naive_mixing import Settings, mix, redraw
from small_backbones import SMALL, N, images_for, small_backbone


class Linear(Backbone):
    """A network without a single non-linearity."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.stages = nn.ModuleList([nn.Conv2d(4, 6, 3, stride=2), nn.Conv2d(6, 8, 1), nn.Conv2d(8, 2, 2)])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(2 * 2 * 3, 7))


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


@pytest.fixture
def images(name):
    return images_for(name)


@pytest.fixture
def model(name):
    return small_backbone(name)


def hidden(layer, lam):
    return HiddenMix(layer, torch.tensor([3, 0, 2, 4, 1]), torch.as_tensor(lam).expand(N))


def gradients(model, *arguments):
    loss = model(*arguments).square().sum()
    return torch.autograd.grad(loss, list(model.parameters()))


def test_layer_0_is_mixup_of_the_input(model, images):
    labels, settings = torch.arange(N), Settings(1.0)
    mixed = mix("mixup", images, labels, np.random.default_rng(2), settings)
    drawn = redraw("mixup", np.random.default_rng(2), N, *images.shape[2:], settings)
    at_input = HiddenMix(0, torch.tensor(drawn.partner), torch.tensor(drawn.lam))
    assert torch.equal(model(images, at_input), model(mixed.images))


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_lam_1_is_the_plain_forward_and_backward(model, images, layer):
    assert torch.equal(model(images, hidden(layer, 1.0)), model(images))
    for found, expected in zip(
        gradients(model, images, hidden(layer, 1.0)), gradients(model, images), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_lam_0_is_the_forward_of_the_partners(model, images, layer):
    mix_with = hidden(layer, 0.0)
    model.eval()
    torch.testing.assert_close(model(images, mix_with), model(images)[mix_with.partner])


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_only_stages_from_the_layer_on_are_mixed(model, images, layer):
    model.eval()
    plain, mixed = model.features(images), model.features(images, hidden(layer, 0.4))
    equal = [torch.equal(a, b) for a, b in zip(plain, mixed, strict=True)]
    assert equal == [number < layer for number in (1, 2, 3)]
    if layer:
        assert torch.equal(mixed[layer - 1], hidden(layer, 0.4).apply(plain[layer - 1]))


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_autocast_mixes_states_in_their_own_type(model, images, layer):
    model.eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        plain, mixed = model.features(images), model.features(images, hidden(layer, 1.0))
    for found, expected in zip(mixed, plain, strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


def test_linear_network_has_equal_logits_at_every_layer():
    torch.manual_seed(3)
    model = Linear().double()
    images = torch.randn(N, 3, 10, 12)
    lam = torch.tensor([0.0, 0.3, 0.5, 0.9, 1.0], dtype=torch.float64)
    logits = [model(images.double(), hidden(layer, lam)) for layer in range(4)]
    by_hand = hidden(0, lam).apply(model(images.double()))
    for found in logits:
        torch.testing.assert_close(found, by_hand, rtol=1e-12, atol=1e-12)
    assert not torch.equal(logits[0], model(images.double()))


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_gradient_reaches_both_halves(model, images, layer):
    images.requires_grad_()
    model.eval()
    logits = model(images, hidden(layer, 0.5))
    (grad,) = torch.autograd.grad(logits[0].sum(), images)
    assert [bool(row.any()) for row in grad] == [True, False, False, True, False]
