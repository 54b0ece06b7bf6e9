"""`dmix table`: renders one table."""

from __future__ import annotations

import argparse

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER, records_folder


def run(options: argparse.Namespace) -> int:
    """Render one table, and print it beside the published numbers."""
    grid = load_grid(options.tier, thorough=False)
    out = options.out or PAPER / grid.tier
    if options.name in grid.settings_tables:
        from dmix.report.settings_table import render_settings

        render_settings(grid, options.name, out)
        shown = f"{options.name}.txt"
    elif options.name in grid.tables:
        from dmix.report.build import render

        render(grid, options.name, records_folder(grid.tier), out)
        shown = f"{options.name}_beside.txt"
    else:
        known = (*grid.tables, *grid.settings_tables)
        raise DmixError(
            f"there is no table {options.name!r} at tier {grid.tier}", f"choose of {', '.join(known)}"
        )
    print((out / shown).read_text(encoding="utf-8"), end="")
    return 0
