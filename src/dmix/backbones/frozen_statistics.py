"""Batch norms in training mode that do not update their running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(module: nn.Module, active: bool = True) -> Iterator[None]:
    """Keep running means, variances and counters of `module` unchanged within the block, in training mode.

    Unlike in evaluation mode, batches are still normalised with their own statistics.
    """
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    if active:
        for norm in norms:
            norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
