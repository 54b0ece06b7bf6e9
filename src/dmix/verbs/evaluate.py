"""`dmix evaluate`: measures the accuracy of one finished run on mixed test images."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.promise import check
from dmix.job.recorded import recorded
from dmix.job.versions import noted
from dmix.verbs.common import known_run, ready_run


def run(options: argparse.Namespace) -> int:
    """Evaluate one run on mixed images."""
    with recorded(options):
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    grid = load_grid(options.tier, every_tier=not options.promise)
    if options.promise:
        check(grid, options.name, options.promise)
    known_run(grid, options.name)
    ready_run(grid, options.name)
    noted()
    from dmix.job.mixed_accuracy import evaluate_mixed
    from dmix.job.options import Options

    return evaluate_mixed(grid, options.name, Options(options.device, workers=options.workers))
