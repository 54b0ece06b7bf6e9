"""Batch norms that normalise with the batch's own statistics and remember nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_statistics(module: nn.Module, active: bool = True) -> Iterator[None]:
    """Leave running means, variances and counters of `module` as they are, bit for bit, in training mode.

    Outputs are those of training mode. This is not evaluation mode, which normalises with the running
    statistics.
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
