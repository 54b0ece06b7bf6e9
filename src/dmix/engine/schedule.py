"""Learning-rate schedules and reading plans: pure functions of the step or epoch."""

from __future__ import annotations

import math

LAST = 10


def cosine(step: int, total: int, lr: float, lr_end: float) -> float:
    """Return the rate of step `step` (from 0) of `total`: half a cosine from lr to lr_end."""
    return lr_end + 0.5 * (lr - lr_end) * (1 + math.cos(math.pi * step / total))


def readings(epochs: int, every: int) -> tuple[int, ...]:
    """Return the epochs (from 1) after which the test split is evaluated.

    Every one of the last 10, which the score needs, and before them every `every`-th for the curve.
    """
    sparse = range(every, max(epochs - LAST, 0) + 1, every)
    last = range(max(epochs - LAST, 0) + 1, epochs + 1)
    return tuple(sorted({*sparse, *last}))
