"""`dmix evaluate`: measures the accuracy of one finished run on mixed test images."""

from __future__ import annotations

import argparse

from dmix.job.recorded import recorded
from dmix.verbs.common import grid_of_job


def run(options: argparse.Namespace) -> int:
    """Evaluate one run on mixed images."""
    with recorded(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    grid = grid_of_job(options)
    from dmix.job.mixed_accuracy import evaluate_mixed
    from dmix.job.options import Options

    return evaluate_mixed(grid, options.name, Options(options.device, workers=options.workers))
