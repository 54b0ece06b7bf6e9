"""`dmix train`: trains one run."""

from __future__ import annotations

import argparse

from dmix.job.recorded import recorded
from dmix.verbs.common import grid_of_job


def run(options: argparse.Namespace) -> int:
    """Train one run."""
    with recorded(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    grid = grid_of_job(options)
    from dmix.job.options import Options
    from dmix.job.train import train

    how = Options(
        options.device,
        options.checkpoint_seconds,
        options.tensorboard,
        options.workers,
        options.devices,
        options.per_device,
    )
    return train(grid, options.name, how)
