"""Learning-rate schedules against closed forms, published values and other libraries."""

from __future__ import annotations

import importlib
import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from dmix import vision
from dmix.engine.schedules.contract import Progress
from dmix.engine.schedules.cosine import cosine, warm_up
from dmix.engine.schedules.cosine_7_16 import cosine_7_16
from dmix.engine.schedules.multistep import multistep
from dmix.engine.schedules.step_decay import step_decay

# TorchSSL's rates of FixMatch's schedule, from 0.03, in a run of 2^20 steps.
FIXMATCH = {
    0: 0.03,
    1: 0.029999999999974228,
    262144: 0.028246321955490622,
    524288: 0.02319031360088211,
    1048575: 0.005852748228131802,
    1048576: 0.00585270966048385,
}


def at(step, total, steps_per_epoch=0):
    return Progress(step, total, steps_per_epoch)


@pytest.mark.parametrize(("lr", "lr_end"), [(0.1, 0.0), (0.1, 0.001), (1e-3, 1e-5), (0.1, 0.1)])
def test_cosine_has_its_closed_form(lr, lr_end):
    total = 1200
    rates = [cosine(lr, at(step, total, 100), lr_end=lr_end) for step in range(total + 1)]
    assert rates[0] == pytest.approx(lr, rel=1e-15)
    assert rates[total // 3] == pytest.approx(lr_end + 0.75 * (lr - lr_end), rel=1e-14)
    assert rates[total // 2] == pytest.approx((lr + lr_end) / 2, rel=1e-14)
    assert rates[total] == lr_end
    assert all(later < earlier or lr == lr_end for earlier, later in pairwise(rates))
    assert math.fsum(rates) / (total + 1) == pytest.approx((lr + lr_end) / 2, rel=1e-14)


@pytest.mark.parametrize("start", [0.0, 1e-5, 0.25])
@pytest.mark.parametrize("steps", [1, 8, 5 * 1251])
def test_warm_up_is_a_straight_line_to_one(steps, start):
    shares = [warm_up(step, steps, start) for step in range(steps + 3)]
    assert shares[0] == pytest.approx(start, rel=1e-9, abs=1e-15)
    assert shares[steps:] == [1.0] * 3
    for step in range(steps):
        assert shares[step] == pytest.approx(start + (1 - start) * step / steps, rel=1e-12, abs=1e-15)
        assert shares[step] < shares[step + 1]


def test_without_steps_there_is_no_warm_up():
    for step in (0, 1, 100):
        assert warm_up(step, 0, 0.0) == 1.0


@pytest.mark.parametrize("steps_per_epoch", [1, 7, 0])
def test_the_warm_up_of_a_cosine_is_counted_in_epochs(steps_per_epoch):
    """Where a recipe counts steps there is no epoch, and no warm-up."""
    total, warm = 35, 2 * steps_per_epoch
    for step in range(total):
        where = at(step, total, steps_per_epoch)
        share = 0.1 + 0.9 * step / warm if step < warm else 1.0
        found = cosine(0.3, where, lr_end=0.01, warmup_epochs=2, warmup_start=0.1)
        assert found == pytest.approx(share * cosine(0.3, where, lr_end=0.01), rel=1e-13)


def mmcv(step, total, lr, lr_end, warm, ratio):
    """The rates of mmcv's cosine hook with linear warm-up and by_epoch=False, as its source has them."""
    regular = lr_end + 0.5 * (lr - lr_end) * (math.cos(math.pi * (step / total)) + 1)
    if step >= warm:
        return regular
    k = (1 - step / warm) * (1 - ratio)
    return regular * (1 - k)


def timm_rates(total, lr, lr_end, warm, start):
    """The rates of timm's cosine, per step."""
    vision.timm()
    scheduler = importlib.import_module("timm.scheduler").CosineLRScheduler
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule = scheduler(
        optimizer, t_initial=total, lr_min=lr_end, warmup_t=warm, warmup_lr_init=start, t_in_epochs=False
    )
    for step in range(total):
        schedule.step_update(step)
        yield optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("epochs", [0, 4])
def test_rates_are_those_of_mmcv_and_after_the_warm_up_those_of_timm(epochs):
    total, lr, lr_end, start, warm = 300, 1e-3, 1e-5, 1e-5, 5 * epochs
    for step, timm in enumerate(timm_rates(total, lr, lr_end, warm, start * lr)):
        where = at(step, total, 5)
        ours = cosine(lr, where, lr_end=lr_end, warmup_epochs=epochs, warmup_start=start)
        assert ours == pytest.approx(mmcv(step, total, lr, lr_end, warm, start), rel=1e-12)
        # timm's line leads to the full rate, ours to the cosine
        to_the_cosine = cosine(lr, where, lr_end=lr_end) / lr if step < warm else 1.0
        assert ours == pytest.approx(timm * to_the_cosine, rel=1e-9)


@pytest.mark.parametrize(("step", "rate"), FIXMATCH.items())
def test_the_cosine_of_fixmatch_is_golden(step, rate):
    assert cosine_7_16(0.03, at(step, 2**20)) == pytest.approx(rate, rel=1e-12)


def test_the_cosine_of_fixmatch_falls_in_proportion_to_its_start():
    rates = [cosine_7_16(0.03, at(step, 100)) for step in range(101)]
    assert rates == sorted(set(rates), reverse=True)
    assert rates[0] == 0.03
    for step, rate in enumerate(rates):
        assert cosine_7_16(0.3, at(step, 100)) == pytest.approx(10 * rate, rel=1e-14)


@pytest.mark.parametrize("milestones", [(3, 4, 9), (0,), (100,), (1, 13)])
def test_multistep_is_that_of_torch(milestones):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.3)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.25)
    for step in range(14):
        found = multistep(0.3, at(step, 14), milestones=milestones, lr_decay=0.25)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("milestones", [(6, 13), (13, 6)])
def test_multistep_falls_at_its_milestones_in_any_order(milestones):
    rates = [multistep(0.8, at(step, 20), milestones=milestones, lr_decay=0.5) for step in range(20)]
    assert rates == [0.8] * 6 + [0.4] * 7 + [0.2] * 7


@pytest.mark.parametrize("total", [1, 7, 10, 99, 100, 5004])
@pytest.mark.parametrize("every", [1, 7, 30, 50, 99, 100])
def test_step_decay_has_its_closed_form(every, total):
    """The rate falls at the first step of which `every` percent, or a multiple of them, are behind."""
    for step in range(total + 1):
        stairs = math.floor(Fraction(step, total) / Fraction(every, 100))
        found = step_decay(0.3, at(step, total), every_percent=every, lr_decay=0.5)
        assert found == 0.3 * 0.5**stairs  # exact: halving rounds nothing


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 5004])
def test_step_decay_of_30_percent_is_multistep_at_epochs_30_60_and_90(steps_per_epoch):
    total = 100 * steps_per_epoch
    falls = tuple(epoch * steps_per_epoch for epoch in (30, 60, 90))
    near = {step + shift for step in falls for shift in (-1, 0, 1)}
    for step in sorted({0, total - 1, *near}):
        where = at(step, total, steps_per_epoch)
        ours = step_decay(0.1, where, every_percent=30, lr_decay=0.1)
        assert ours == pytest.approx(multistep(0.1, where, milestones=falls, lr_decay=0.1), rel=1e-14)


def test_step_decay_of_the_whole_run_is_constant():
    assert {step_decay(0.1, at(step, 9), every_percent=100, lr_decay=0.1) for step in range(9)} == {0.1}
