"""`dmix table`: renders one table."""

from __future__ import annotations

import argparse

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER, runs_folder


def run(options: argparse.Namespace) -> int:
    """Render one table."""
    grid = load_grid(options.tier)
    if options.name not in grid.params.tables:
        raise DmixError(f"there is no table {options.name!r}", f"choose of {', '.join(grid.params.tables)}")
    from dmix.report.build import render

    out = options.out or PAPER / grid.tier
    render(grid, options.name, runs_folder(grid.tier), out)
    print((out / f"{options.name}.txt").read_text(encoding="utf-8"), end="")
    return 0
