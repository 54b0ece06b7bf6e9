"""Learning-rate schedules and reading plans: pure functions of the step or epoch."""

from __future__ import annotations

import math

LAST = 10


def cosine(step: int, total: int, lr: float, lr_end: float) -> float:
    """Return the rate of step `step` (from 0) of `total`: half a cosine from lr to lr_end."""
    return lr_end + 0.5 * (lr - lr_end) * (1 + math.cos(math.pi * step / total))


def warm_up(step: int, steps: int, start: float) -> float:
    """Return the share of the scheduled rate in step `step`: linear from `start` to 1 at step `steps`.

    It multiplies the cosine of the whole run, as in mmcv, on which OpenMixup's recipes run. So there is no
    jump where it ends, and from there on timm's cosine without `warmup_prefix` has the same rates. (timm
    itself climbs on a straight line to the full rate, and then jumps to the cosine.)
    """
    if step >= steps:
        return 1.0
    return 1 - (1 - step / steps) * (1 - start)


def readings(epochs: int, every: int) -> tuple[int, ...]:
    """Return the epochs (from 1) after which the test split is evaluated.

    Every one of the last 10, which the score needs, and before them every `every`-th for the curve.
    """
    sparse = range(every, max(epochs - LAST, 0) + 1, every)
    last = range(max(epochs - LAST, 0) + 1, epochs + 1)
    return tuple(sorted({*sparse, *last}))
