"""`dmix ledger`: writes the ledger of deviations from the paper."""

from __future__ import annotations

import argparse

from dmix.files import write_text
from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER


def run(options: argparse.Namespace) -> int:
    """Write the ledger as LaTeX."""
    grid = load_grid(options.tier)
    from dmix.report.build import REFERENCE
    from dmix.report.deviations import read_deviations
    from dmix.report.ledger import concerned, to_ledger

    deviations = read_deviations(REFERENCE / "deviations.csv")
    path = (options.out or PAPER / grid.tier) / "ledger.tex"
    write_text(path, to_ledger(deviations, concerned(grid, deviations)))
    print(path)
    return 0
