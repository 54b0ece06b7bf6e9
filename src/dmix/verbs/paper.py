"""`dmix paper`: writes the document with all tables and figures of a tier, as LaTeX and PDF."""

from __future__ import annotations

import argparse
import sys

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER, WORK, runs_folder

PDF = "paper.pdf"


def run(options: argparse.Namespace) -> int:
    """Write main.tex and, where LaTeX is on this machine, paper.pdf."""
    grid = load_grid(options.tier)
    from dmix.files import write_text
    from dmix.paper.compose import compose, fragments
    from dmix.paper.typeset import HOW_TO_GET, SIZE, latex_is_here, typeset

    folder = PAPER / grid.tier
    out = options.out or folder
    main = compose(grid, runs_folder(grid.tier), folder)
    if latex_is_here():
        typeset(main, folder, fragments(grid), out / PDF, WORK / grid.tier / "paper")
        print(out / PDF)
    else:
        earlier = f"; {folder / PDF} is of an earlier state" if (folder / PDF).exists() else ""
        print(f"no PDF without LaTeX{earlier}. Debian and Ubuntu ({SIZE}): {HOW_TO_GET}", file=sys.stderr)
    write_text(out / "main.tex", main)
    print(out / "main.tex")
    return 0
