"""`dmix evaluate`: measures what one finished run's weights do."""

from __future__ import annotations

import argparse

from dmix.verbs.common import grid_of_job, recording


@recording
def run(options: argparse.Namespace) -> int:
    """Evaluate one run from its weights."""
    grid = grid_of_job(options)
    from dmix.job.evaluate import evaluate
    from dmix.job.options import Options

    how = Options(
        options.device, workers=options.workers, devices=options.devices, per_device=options.per_device
    )
    return evaluate(grid, options.kind, options.name, how)
