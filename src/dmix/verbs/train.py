"""`dmix train`: trains one run."""

from __future__ import annotations

import argparse

from dmix.verbs.common import grid_of_job, recording


@recording
def run(options: argparse.Namespace) -> int:
    """Train one run."""
    grid = grid_of_job(options)
    from dmix.job.options import Options
    from dmix.job.staged import stage_folder
    from dmix.job.train import train

    how = Options(
        options.device,
        options.checkpoint_seconds,
        options.tensorboard,
        options.workers,
        stage_folder(options.stage),
        options.devices,
        options.per_device,
    )
    return train(grid, options.name, how)
