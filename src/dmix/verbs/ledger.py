"""`dmix ledger`: writes the ledger of deviations from the paper."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER


def run(options: argparse.Namespace) -> int:
    """Write the ledger as LaTeX."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.report.build import render_ledger

    for path in render_ledger(grid, options.out or PAPER / grid.tier):
        print(path)
    return 0
