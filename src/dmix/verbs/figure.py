"""`dmix figure`: draws one figure."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER, records_folder


def run(options: argparse.Namespace) -> int:
    """Draw one figure."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.plot.render import render

    for path in render(grid, options.name, records_folder(grid.tier), options.out or PAPER / grid.tier):
        print(path)
    return 0
