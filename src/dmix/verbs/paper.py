"""`dmix paper`: writes the document with all tables and figures of a tier, as LaTeX and PDF."""

from __future__ import annotations

import argparse
import sys

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER


def run(options: argparse.Namespace) -> int:
    """Write main.tex and, where LaTeX is on this machine, paper.pdf."""
    grid = load_grid(options.tier, thorough=False)
    from dmix.paper.render import PDF, render
    from dmix.paper.typeset import HOW_TO_GET, SIZE, latex_is_here

    folder = PAPER / grid.tier
    paths = render(grid, options.out or folder)
    if not latex_is_here():
        earlier = f"; {folder / PDF} is of an earlier state" if (folder / PDF).exists() else ""
        print(f"no PDF without LaTeX{earlier}. Debian and Ubuntu ({SIZE}): {HOW_TO_GET}", file=sys.stderr)
    for path in paths:
        print(path)
    return 0
