"""Passes that batch norms do not remember."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from dmix.backbones.frozen_statistics import frozen_statistics
from small_backbones import N, images_for, small_backbone


def network():
    """Norms of both kinds, one without statistics, one that averages them over all batches."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4, momentum=0.1),
        nn.Conv2d(4, 5, 3),
        nn.BatchNorm2d(5, track_running_stats=False),
        nn.Conv2d(5, 5, 1),
        nn.BatchNorm2d(5, momentum=None),
        nn.Flatten(),
        nn.LazyLinear(6),
        nn.BatchNorm1d(6, affine=False),
    )


def warmed(model, images):
    """The model after two passes whose statistics were counted."""
    with torch.no_grad():
        model(images)
        model(2 * images + 1)
    return model


@pytest.fixture
def images():
    return torch.randn(N, 3, 10, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(images):
    return warmed(network(), images)


def buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def counters(model):
    return [int(buffer) for name, buffer in model.named_buffers() if name.endswith("num_batches_tracked")]


def tracking(model):
    return [m.track_running_stats for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def step(model, images):
    """Output and gradients of a pass in training mode."""
    output = model(images)
    return [output, *torch.autograd.grad(output.square().sum(), list(model.parameters()))]


@pytest.mark.parametrize("name", [None, "resnet"], ids=["norms", "resnet"])
def test_a_frozen_pass_is_one_of_training_and_leaves_no_trace(name, images):
    model = network() if name is None else small_backbone(name)
    images = images if name is None else images_for(name)
    warmed(model, images)
    images = images + 0.5
    counted = copy.deepcopy(model)
    before = buffers(model)
    assert len(before) >= 9
    with frozen_statistics(model):
        frozen = step(model, images)
    assert same(before, buffers(model))
    assert all(torch.equal(one, other) for one, other in zip(frozen, step(counted, images), strict=True))
    assert not any(torch.equal(before[key], value) for key, value in buffers(counted).items())
    with torch.no_grad():
        model.eval()
        assert not torch.equal(model(images), frozen[0])


def test_behind_it_passes_count_again(model, images):
    with frozen_statistics(model):
        model(images)
    model(images)
    assert counters(model) == [3, 3, 3]
    assert tracking(model) == [True, False, True, True]


def test_inactive_it_does_nothing(model, images):
    with frozen_statistics(model, active=False):
        model(images)
    assert counters(model) == [3, 3, 3]


def test_in_evaluation_mode_it_changes_nothing(model, images):
    model.eval()
    expected = model(images)
    with frozen_statistics(model):
        assert torch.equal(model(images), expected)


@pytest.mark.parametrize("active", [True, False])
def test_the_inner_of_two_does_not_end_the_outer(model, images, active):
    before = buffers(model)
    with frozen_statistics(model):
        with frozen_statistics(model[2:], active):
            model(images)
        model(images)
    assert same(before, buffers(model))
    assert tracking(model) == [True, False, True, True]


def test_of_a_part_the_others_go_on_counting(model, images):
    with frozen_statistics(model[:2]):
        model(images)
    assert counters(model) == [2, 3, 3]


def test_an_error_inside_ends_it(model, images):
    with pytest.raises(RuntimeError, match="stopped"), frozen_statistics(model):
        raise RuntimeError("stopped")
    assert tracking(model) == [True, False, True, True]
    model(images)
    assert counters(model) == [3, 3, 3]
