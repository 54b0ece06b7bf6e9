from __future__ import annotations

import pytest
import torch

from small_backbones import CLASSES, SMALL, N, images_for, small_backbone


@pytest.fixture
def deterministic():
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def train_step(name):
    """Return logits and all gradients of one step in training mode."""
    model = small_backbone(name)
    images = images_for(name).requires_grad_()
    logits = model(images)
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(N))
    return [logits, *torch.autograd.grad(loss, [images, *model.parameters()])]


@pytest.mark.parametrize("name", SMALL)
def test_a_step_repeats_exactly_and_draws_no_random_number(name, deterministic):
    before = torch.get_rng_state()
    first, second = train_step(name), train_step(name)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(tensor.isfinite().all() for tensor in first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_has_a_gradient(name):
    assert all(gradient.any() for gradient in train_step(name)[1:])


@pytest.mark.parametrize("name", SMALL)
def test_maps_have_the_channels_that_are_declared(name):
    model, images = small_backbone(name), images_for(name)
    outputs = model.features(images)
    assert len(outputs) == len(model.channels)
    sides = []
    for channels, output in zip(model.channels, outputs, strict=True):
        n, found, height, width = model.as_map(output).shape
        assert (n, found) == (N, channels)
        sides.append((height, width))
    assert (
        sides
        == {
            "resnet": [(10, 12), (5, 6), (3, 3)],
            "resnext": [(6, 10), (3, 5), (2, 3)],
            "wideresnet": [(10, 12), (5, 6), (3, 3)],
            "vit": [(3, 3), (3, 3), (3, 3)],
            "swin": [(8, 8), (4, 4), (2, 2)],
            "timm": [(8, 8), (4, 4), (1, 1)],
        }[name]
    )
    assert model.head(outputs[-1]).shape == (N, CLASSES)


@pytest.mark.parametrize("name", ["resnet", "resnext", "wideresnet"])
def test_outputs_of_convolutional_stages_are_maps_already(name):
    model = small_backbone(name)
    assert all(model.as_map(output) is output for output in model.features(images_for(name)))
