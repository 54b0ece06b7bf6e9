"""`dmix evaluate`: measures one finished run on mixed test images, or its confidence."""

from __future__ import annotations

import argparse

from dmix.job.recorded import recorded
from dmix.verbs.common import grid_of_job


def run(options: argparse.Namespace) -> int:
    """Evaluate one run from its weights."""
    with recorded(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    grid = grid_of_job(options)
    from dmix.job.confidence import evaluate_confidence
    from dmix.job.mixed_accuracy import evaluate_mixed
    from dmix.job.options import Options

    evaluate = evaluate_mixed if options.mixed else evaluate_confidence
    how = Options(
        options.device, workers=options.workers, devices=options.devices, per_device=options.per_device
    )
    return evaluate(grid, options.name, how)
