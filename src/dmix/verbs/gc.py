"""`dmix gc`: lists or deletes what is in no grid, and what killed processes left."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER
from dmix.verbs.common import tell


def run(options: argparse.Namespace) -> int:
    """List or delete what is in no grid, and what killed processes left."""
    from dmix.job.garbage import collect as sweep

    sweep(load_grid(options.tier), PAPER, delete=options.delete, stopped=options.stopped, tell=tell)
    return 0
