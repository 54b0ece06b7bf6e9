"""`dmix page`: writes the page of a tier."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import RESULTS


def run(options: argparse.Namespace) -> int:
    """Write the page of a tier from what exists."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.page.render import INDEX, render

    out = options.out or RESULTS / grid.tier / "report"
    render(grid, out)
    print(out / INDEX)
    return 0
