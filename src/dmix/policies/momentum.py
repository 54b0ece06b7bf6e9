"""Momentum copies of networks: exponential moving averages of parameters, with AutoMix's schedule."""

from __future__ import annotations

import copy
import math
from typing import TypeVar

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """Return a copy of `module` whose parameters require no gradient."""
    return copy.deepcopy(module).requires_grad_(False)


def momentum_at(step: int, total: int, start: float, end: float) -> float:
    """Return the momentum m of step `step` (from 0) of `total`, as AutoMix schedules it.

    It is `start` in the first tenth of the steps, then half a cosine from `start` to `end` with phase
    step / total, so it jumps a little after the tenth.
    """
    if 10 * step < total:
        return start
    return end - (end - start) * (math.cos(math.pi * step / total) + 1) / 2


def update_average(average: nn.Module, trained: nn.Module, momentum: float) -> None:
    """Set each parameter of `average` to momentum * itself + (1 - momentum) * that of `trained`, in place.

    Buffers (the running statistics of batch norms) are not changed.
    """
    update = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]
    update(list(average.parameters()), list(trained.parameters()), None)
