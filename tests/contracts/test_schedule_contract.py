"""What every learning-rate schedule must keep to."""

from __future__ import annotations

import math

import pytest

from dmix.engine.parts import load_part
from dmix.engine.schedules.contract import Progress
from every_part import cases

LR = 0.3


@pytest.fixture(params=cases("schedule"))
def schedule(request):
    return load_part("schedule", request.param[0], call=False)


def steps(total):
    """Every step of a run that counts epochs, and of one that counts steps."""
    return [Progress(step, total, per_epoch) for per_epoch in (0, 2) for step in range(total)]


@pytest.mark.parametrize("total", [1, 10, 37])
def test_every_step_has_a_finite_rate_of_at_least_0(schedule, total):
    for at in steps(total):
        rate = schedule(LR, at)
        assert type(rate) is float
        assert math.isfinite(rate)
        assert rate >= 0
    assert max(schedule(LR, at) for at in steps(total)) > 0


def test_it_is_a_pure_function(schedule):
    """Its value at a step does not depend on which steps it was asked for before."""
    forwards = [schedule(LR, at) for at in steps(20)]
    backwards = [schedule(LR, at) for at in reversed(steps(20))]
    assert forwards == backwards[::-1]


def test_all_settings_are_keywords_that_a_group_can_have_its_own_of(schedule):
    """The trainer replaces those that are named in a parameter group (`Trainer._rate`)."""
    at = steps(20)[7]
    assert schedule(LR, at, **schedule.keywords) == schedule(LR, at)
