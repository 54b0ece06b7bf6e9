from __future__ import annotations

import pytest
import torch
from torch import nn

from dmix.backbones.parameter_group import ParameterGroup, with_rest
from dmix.backbones.resnet import ResNet
from dmix.engine.course import step_evaluations
from dmix.engine.optimizers.sgd import sgd
from dmix.engine.schedules.contract import Progress
from dmix.engine.schedules.multistep import multistep
from dmix.methods.addons.pairs import cosine_ramp
from dmix.policies.momentum import frozen_copy, update_average
from transfer_goldens import GOLDENS

SCHEDULES, MOMENTUM = GOLDENS["schedules"], GOLDENS["momentum_encoder"]
MILESTONES = (6000, 12000, 18000, 24000)
TOTAL = 27005


@pytest.mark.parametrize(("step", "rate"), SCHEDULES["tl_lr_multistep"].items())
def test_multistep_is_golden(step, rate):
    at = Progress(int(step), TOTAL, 0)
    assert multistep(0.001, at, milestones=MILESTONES, lr_decay=0.1) == pytest.approx(rate, rel=1e-14)


@pytest.mark.parametrize(("share", "weight"), SCHEDULES["lu_weight_cosine"].items())
def test_ramp_is_golden(share, weight):
    for total in (4, TOTAL - 5):
        assert cosine_ramp(int(float(share) * total), total) == pytest.approx(weight, abs=1e-12)


def test_ramp_rises():
    weights = [cosine_ramp(step, 100) for step in range(101)]
    assert weights == sorted(set(weights))


@pytest.mark.parametrize(
    ("total", "every", "also", "expected"),
    [
        (TOTAL, 3000, [500], SCHEDULES["tl_eval_iterations"]),
        (10, 3, [], [1, 4, 7, 10]),
        (10, 3, [12, 4, 10], [1, 4, 7, 10]),
        (9, 100, [9, 5], [1, 5, 9]),
        (0, 5, [1], []),
    ],
)
def test_evaluations_are_golden(total, every, also, expected):
    assert step_evaluations(total, every, also) == tuple(expected)


def test_optimiser_trace_is_golden_and_the_key_encoder_is_no_part_of_it():
    golden = SCHEDULES["nesterov_two_steps"]
    module = nn.Module()
    module.query = nn.Linear(1, 1, bias=False).double()
    module.query.weight.data.fill_(golden["w0"])
    module.key = frozen_copy(module.query)
    groups = with_rest(module.parameters(), [])
    assert [group.parameters for group in groups] == [(module.query.weight,)]
    optimizer = sgd(groups, golden["lr"], golden["weight_decay"], momentum=golden["momentum"], nesterov=True)
    for gradient, expected in zip(golden["grads"], golden["w_after"], strict=True):
        module.query.weight.grad = torch.full((1, 1), gradient, dtype=torch.float64)
        optimizer.step()
        assert module.query.weight.item() == pytest.approx(expected, abs=1e-10)
    assert module.key.weight.item() == golden["w0"]


def test_a_head_of_its_own_rate_is_a_group():
    trunk, head = nn.Linear(3, 3), nn.Linear(3, 2)
    groups = with_rest(
        [*trunk.parameters(), *head.parameters()], [ParameterGroup(tuple(head.parameters()), {"lr": 0.01})]
    )
    assert [len(group.parameters) for group in groups] == [2, 2]
    assert groups[1].settings["lr"] == 0.01


def key_and_query(start, trained):
    key, query = (nn.Linear(1, 1, bias=False).double() for _ in range(2))
    key.requires_grad_(False)
    key.weight.data.fill_(start)
    query.weight.data.fill_(trained)
    return key, query


def test_key_encoder_is_golden():
    """Two updates per step: 27,005 steps leave nothing of the start."""
    key, query = key_and_query(MOMENTUM["k0"], MOMENTUM["q"])
    golden = {1: "after_one_update", 2: "after_two_updates", 54010: "after_54010_updates"}
    for update in range(1, 2 * TOTAL + 1):
        update_average(key, query, MOMENTUM["m"])
        if update in golden:
            assert key.weight.item() == pytest.approx(MOMENTUM[golden[update]], rel=1e-10)


def test_average_of_parameters_is_golden():
    golden = SCHEDULES["ema"]
    average, trained = key_and_query(golden["start"], golden["model_value"])
    expected = dict(zip(golden["steps"], golden["after"], strict=True))
    for step in range(1, 5001):
        update_average(average, trained, golden["decay"])
        if step in expected:
            assert average.weight.item() == pytest.approx(expected[step], abs=1e-10)


def test_key_encoder_has_statistics_of_its_own():
    """It normalises with those of the batch: what the running ones are, and were, makes no difference."""
    torch.manual_seed(0)
    query = ResNet(5, stem="cifar", block="basic", layers=(1,), width=4)
    images = torch.randn(6, 3, 8, 8)
    key = frozen_copy(query)
    moved = frozen_copy(query)
    for name, buffer in moved.named_buffers():
        if "running_mean" in name:
            buffer.fill_(3.0)
    assert torch.equal(key(images), moved(images))
    before = {name: buffer.clone() for name, buffer in key.named_buffers()}
    query(2 * images + 1)
    update_average(key, query, 0.999)
    assert all(torch.equal(buffer, before[name]) for name, buffer in key.named_buffers())
    loss = query(images).square().mean() + key(images).square().mean()
    loss.backward()
    assert all(parameter.grad is None for parameter in key.parameters())
