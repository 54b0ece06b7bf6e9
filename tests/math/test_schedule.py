from __future__ import annotations

import importlib
import math
from itertools import pairwise

import pytest
import torch

from dmix import vision
from dmix.engine.schedule import cosine, readings, warm_up


@pytest.mark.parametrize(("lr", "lr_end"), [(0.1, 0.0), (0.1, 0.001), (1e-3, 1e-5)])
def test_cosine_has_its_closed_form(lr, lr_end):
    total = 1200
    assert cosine(0, total, lr, lr_end) == pytest.approx(lr, rel=1e-15)
    assert cosine(total // 3, total, lr, lr_end) == pytest.approx(lr_end + 0.75 * (lr - lr_end), rel=1e-14)
    assert cosine(total // 2, total, lr, lr_end) == pytest.approx((lr + lr_end) / 2, rel=1e-14)
    assert cosine(total, total, lr, lr_end) == lr_end
    rates = [cosine(step, total, lr, lr_end) for step in range(total + 1)]
    assert all(later < earlier for earlier, later in pairwise(rates))
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


@pytest.mark.parametrize("warm", [0, 20])
def test_rates_are_those_of_mmcv_and_after_the_warm_up_those_of_timm(warm):
    total, lr, lr_end, start = 300, 1e-3, 1e-5, 1e-5
    for step, timm in enumerate(timm_rates(total, lr, lr_end, warm, start * lr)):
        ours = cosine(step, total, lr, lr_end) * warm_up(step, warm, start)
        assert ours == pytest.approx(mmcv(step, total, lr, lr_end, warm, start), rel=1e-12)
        # timm's line leads to the full rate, ours to the cosine
        to_the_cosine = cosine(step, total, lr, lr_end) / lr if step < warm else 1.0
        assert ours == pytest.approx(timm * to_the_cosine, rel=1e-9)


@pytest.mark.parametrize(
    ("epochs", "every", "expected"),
    [
        (800, 20, (*range(20, 781, 20), *range(791, 801))),
        (100, 20, (20, 40, 60, 80, *range(91, 101))),
        (30, 10, (10, *range(20, 31))),
        (30, 7, (7, 14, *range(21, 31))),
        (12, 20, tuple(range(3, 13))),
        (10, 3, tuple(range(1, 11))),
        (3, 1, (1, 2, 3)),
        (1, 20, (1,)),
        (0, 5, ()),
    ],
)
def test_readings_are_sparse_and_then_the_last_ten(epochs, every, expected):
    assert readings(epochs, every) == expected


def test_readings_of_the_longest_run():
    found = readings(800, 20)
    assert len(found) == 39 + 10
    assert found[-10:] == tuple(range(791, 801))
