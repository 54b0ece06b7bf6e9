"""`dmix collect`: writes the tier's data frame."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import RESULTS, records_folder


def run(options: argparse.Namespace) -> int:
    """Write the tier's data frame."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.files import write_text
    from dmix.report.frame import load_frame, to_csv

    target = options.out or RESULTS / grid.tier / "frame.csv"
    frame = load_frame(grid, tuple(grid.runs), records_folder(grid.tier))
    write_text(target, to_csv(frame))
    print(target)
    return 0
