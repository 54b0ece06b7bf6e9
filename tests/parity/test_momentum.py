from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from dmix.backbones.resnet import ResNet
from dmix.policies.momentum import frozen_copy, momentum_at, update_average

GOLDEN = {  # of 1000 steps, from 0.999 to 0.999999
    0: 0.999,
    99: 0.999,
    100: 0.99902444727,
    250: 0.999146300163,
    500: 0.9994995,
    750: 0.999852699837,
    999: 0.999998997535,
}


@pytest.fixture
def networks():
    """A network after one step of SGD and its copy from before; both have seen images, not the same ones."""
    torch.manual_seed(0)
    trained = ResNet(5, stem="cifar", block="basic", layers=(1, 1), width=4)
    average = frozen_copy(trained)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    functional.cross_entropy(trained(torch.randn(6, 3, 8, 8)), torch.arange(6) % 5).backward()
    optimizer.step()
    average(2 * torch.randn(6, 3, 8, 8) + 1)
    return average, trained


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_schedule_is_the_golden_one():
    found = {step: momentum_at(step, 1000, 0.999, 0.999999) for step in GOLDEN}
    assert found == pytest.approx(GOLDEN, rel=0, abs=1e-12)


@pytest.mark.parametrize("total", [1, 7, 10, 30, 70, 999])
def test_first_tenth_of_the_steps_is_constant(total):
    """The cosine begins with the first step that is not before total / 10, at the phase of its number."""
    for step in range(total):
        cosine = 1.0 - 0.1 * (math.cos(math.pi * step / total) + 1) / 2
        expected = 0.9 if step < math.ceil(total / 10) else cosine
        assert momentum_at(step, total, 0.9, 1.0) == pytest.approx(expected, abs=1e-15)


def test_average_is_the_formula_for_parameters_alone(networks):
    average, trained = networks
    before, m = state(average), 0.7
    update_average(average, trained, m)
    moved = {name for name, _ in average.named_parameters()}
    buffers = before.keys() - moved
    assert any("running_mean" in name for name in buffers)
    for name, new in average.state_dict().items():
        if name in moved:
            expected = m * before[name].double() + (1 - m) * trained.state_dict()[name].double()
            torch.testing.assert_close(new.double(), expected, rtol=1e-6, atol=1e-7)
            assert not torch.equal(new, before[name])
        else:
            assert torch.equal(new, before[name])
    means = [name for name in buffers if "running_mean" in name]
    assert not any(torch.equal(before[name], trained.state_dict()[name]) for name in means)


def test_extreme_momenta(networks):
    average, trained = networks
    before = state(average)
    update_average(average, trained, 1.0)
    assert all(torch.equal(new, before[name]) for name, new in average.state_dict().items())
    update_average(average, trained, 0.0)
    for new, own in zip(average.parameters(), trained.parameters(), strict=True):
        assert torch.equal(new, own)


def test_average_leaves_the_trained_network_and_builds_no_graph(networks):
    average, trained = networks
    before = state(trained)
    gradients = [parameter.grad.clone() for parameter in trained.parameters()]
    update_average(average, trained, 0.5)
    assert all(torch.equal(new, before[name]) for name, new in trained.state_dict().items())
    for parameter, gradient in zip(trained.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    assert all(not p.requires_grad and p.grad is None and p.is_leaf for p in average.parameters())


def test_copy_is_equal_and_apart():
    torch.manual_seed(1)
    model = ResNet(5, stem="cifar", block="basic", layers=(1,), width=4)
    duplicate = frozen_copy(model)
    assert all(torch.equal(new, model.state_dict()[name]) for name, new in duplicate.state_dict().items())
    with torch.no_grad():
        next(duplicate.parameters()).zero_()
    assert bool(next(model.parameters()).any())
    assert all(parameter.requires_grad for parameter in model.parameters())
