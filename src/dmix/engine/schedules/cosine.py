"""Cosine annealing (Loshchilov and Hutter, 2017) with optional warm-up."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Lt

from dmix.engine.schedules.contract import Progress
from dmix.part import part


@part
def cosine(
    lr: float,
    at: Progress,
    *,
    lr_end: Annotated[float, Ge(0)] = 0.0,
    warmup_epochs: Annotated[int, Ge(0)] = 0,
    warmup_start: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> float:
    """Return lr_end + (lr - lr_end) * (1 + cos(pi * step / total)) / 2, times `warm_up`.

    Settings: `lr_end`, the rate that step `total` would have; `warmup_epochs`, length of the warm-up;
    `warmup_start`, the fraction of the cosine's rate at which it starts.
    """
    rate = lr_end + 0.5 * (lr - lr_end) * (1 + math.cos(math.pi * at.step / at.total))
    return rate * warm_up(at.step, warmup_epochs * at.steps_per_epoch, warmup_start)


def warm_up(step: int, steps: int, start: float) -> float:
    """Return the factor of the scheduled rate in step `step`: linear from `start` to 1 at step `steps`.

    It multiplies the cosine of the whole run, as in mmcv, on which OpenMixup's recipes run, so the rate does
    not jump where the warm-up ends. timm without `warmup_prefix` has the same rates from there on, but its
    warm-up rises linearly to the full rate and then jumps to the cosine.
    """
    if step >= steps:
        return 1.0
    return 1 - (1 - step / steps) * (1 - start)
