"""Writes the files of the document; `dmix.paper.digest` has the digest of its inputs."""

from __future__ import annotations

from pathlib import Path

from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.paths import PAPER, WORK, records_folder
from dmix.paper.compose import compose, fragments
from dmix.paper.typeset import latex_is_here, typeset

PDF, MAIN = "paper.pdf", "main.tex"


def render(grid: Grid, out_dir: Path) -> list[Path]:
    """Write paper.pdf, where LaTeX is on this machine, and main.tex; return their paths.

    Parameters
    ----------
    out_dir: where both go; tables and figures are read from paper_tables/<tier>.

    Raises
    ------
    DmixError: a table or figure is not rendered yet, records of different data meet, or LaTeX fails.
    """
    folder = PAPER / grid.tier
    main = compose(grid, records_folder(grid.tier), folder)
    written = []
    if latex_is_here():
        typeset(main, folder, fragments(grid), out_dir / PDF, WORK / grid.tier / "paper")
        written.append(out_dir / PDF)
    write_text(out_dir / MAIN, main)
    return [*written, out_dir / MAIN]
