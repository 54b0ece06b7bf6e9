"""`dmix paper`: writes the document with all tables and figures of a tier, as LaTeX and PDF."""

from __future__ import annotations

import argparse

from dmix.grid.expand import load_grid
from dmix.grid.paths import PAPER, WORK, runs_folder


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
        typeset(main, folder, fragments(grid), out / "paper.pdf", WORK / grid.tier / "paper")
        print(out / "paper.pdf")
    else:
        print(f"no PDF: LaTeX is not on this machine. On Debian or Ubuntu ({SIZE}): {HOW_TO_GET}")
    write_text(out / "main.tex", main)
    print(out / "main.tex")
    return 0
