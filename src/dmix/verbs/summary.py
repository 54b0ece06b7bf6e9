"""`dmix summary`: writes a tier's metrics and plots, as DVC shows them."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import RESULTS


def run(options: argparse.Namespace) -> int:
    """Write the tier's metrics, bars of scores and learning curves."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.export.summary import write_summary

    for path in write_summary(grid, options.out or RESULTS / grid.tier / "summary"):
        print(path)
    return 0
