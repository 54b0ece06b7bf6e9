"""What every optimiser must keep to."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from dmix.backbones.parameter_group import ParameterGroup
from dmix.engine.parts import load_part
from every_part import cases
from values import kept, same

LR, WEIGHT_DECAY = 0.05, 0.1


@pytest.fixture(params=cases("optimizer"))
def build(request):
    return load_part("optimizer", request.param[0], call=False)


@pytest.fixture
def module():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def groups(module, **own):
    """The first layer as the recipe says, the second with settings of its own."""
    first, second = tuple(module[0].parameters()), tuple(module[2].parameters())
    return [ParameterGroup(first, {}), ParameterGroup(second, own)]


def train(module, optimizer, steps):
    for step in steps:
        images = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad(set_to_none=True)
        module(images).square().mean().backward()
        optimizer.step()


def test_it_has_one_group_for_each_in_their_order(build, module):
    given = groups(module, weight_decay=0.0, lr=0.5, no_setting_of_any=1.0)
    optimizer = build(given, LR, WEIGHT_DECAY)
    assert isinstance(optimizer, torch.optim.Optimizer)
    found = optimizer.param_groups
    assert [[id(p) for p in group["params"]] for group in found] == [
        [id(p) for p in group.parameters] for group in given
    ]
    assert [group["weight_decay"] for group in found] == [WEIGHT_DECAY, 0.0]
    assert all("lr" in group for group in found)


def test_a_step_moves_every_parameter_against_its_gradient(build, module):
    before = kept(module.state_dict())
    optimizer = build(groups(module), LR, 0.0)
    train(module, optimizer, range(1))
    for name, parameter in module.named_parameters():
        assert parameter.isfinite().all()
        moved = parameter.detach() - before[name]
        assert (moved * parameter.grad).sum() < 0, name


def test_the_rate_of_a_group_is_that_which_it_is_given(build, module):
    """The trainer sets it before every step; 0 leaves parameters as they are."""
    optimizer = build(groups(module), LR, WEIGHT_DECAY)
    optimizer.param_groups[0]["lr"] = 0.0
    before = kept(module.state_dict())
    train(module, optimizer, range(2))
    assert same(kept(module[0].state_dict()), {key: before[f"0.{key}"] for key in module[0].state_dict()})
    assert not torch.equal(module[2].weight, before["2.weight"])


def test_a_restored_state_continues_bit_identically(build, module):
    other = copy.deepcopy(module)
    whole, first = (build(groups(one, weight_decay=0.0), LR, WEIGHT_DECAY) for one in (module, other))
    train(module, whole, range(6))
    train(other, first, range(3))
    file = io.BytesIO()
    torch.save([other.state_dict(), first.state_dict()], file)
    weights, state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    fresh = copy.deepcopy(other)
    nn.init.zeros_(fresh[0].weight)
    fresh.load_state_dict(weights)
    second = build(groups(fresh, weight_decay=0.0), LR, WEIGHT_DECAY)
    second.load_state_dict(state)
    train(fresh, second, range(3, 6))
    assert same(fresh.state_dict(), module.state_dict())
    assert same(second.state_dict(), whole.state_dict())
