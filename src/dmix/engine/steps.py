"""Schedules of recipes that count steps, not epochs: pure functions of the step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence


def multistep(step: int, lr: float, milestones: Sequence[int], factor: float) -> float:
    """Return the rate of step `step` (from 0): lr, times `factor` from each milestone on.

    Parameters
    ----------
    milestones: ascending numbers of finished steps; step m is the first at the rate behind milestone m.
    """
    return lr * factor ** bisect_right(milestones, step)


def cosine_ramp(step: int, total: int) -> float:
    """Return the share of a loss's weight in step `step` (from 0) of `total`: half a cosine from 0 to 1."""
    return 0.5 * (1 - math.cos(math.pi * step / total))


def step_readings(total: int, every: int, also: Iterable[int] = (), late: int = 0) -> tuple[int, ...]:
    """Return the numbers of finished steps, up to `total`, at which the test split is evaluated.

    1, 1 + every, 1 + 2 * every and so on, and those of `also`: of 27,005 steps with every 3,000 and also 500
    Self-Tuning takes 11 readings, the last at 27,001. With `late`, from four fifths of the steps on there are
    others instead, at 1 + a multiple of `late`: TorchSSL takes 168 of 2^20 every 5,000, then 210 every 1,000.
    """
    begin = 1 + 4 * total // 5 if late else total  # number of the first late step, counted from 0
    early = (step for step in range(1, total + 1, every) if step <= begin)
    lately = (step for step in range(1, total + 1, late) if step > begin) if late else ()
    return tuple(sorted({*early, *lately, *(step for step in also if step <= total)}))


def cosine_7_16(step: int, total: int, lr: float) -> float:
    """Return the rate of step `step` (from 0): lr * cos(7/16 * pi * step / total), which ends near a fifth.

    FixMatch's schedule (Sohn et al., 2020).
    """
    return lr * math.cos(7 * math.pi * step / (16 * total))
