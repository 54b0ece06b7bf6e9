"""Writes the verdicts of a tier. `dmix.grid.artefact.claims_digest` has all that they depend on."""

from __future__ import annotations

from pathlib import Path

from dmix.claims.files import texts
from dmix.claims.judge import judge_all
from dmix.claims.load import CLAIMS
from dmix.claims.verdict import Verdict
from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.report.frame import load_frame

NAME = "claims"


def verdicts_of(grid: Grid, runs_root: Path, path: Path = CLAIMS) -> tuple[Verdict, ...]:
    """Return the verdict of every claim in `path` by the records below `runs_root`, results/<tier>/records.

    Raises
    ------
    DmixError: the file does not fit the parameters, or records of different data meet.
    """
    return judge_all(grid, load_frame(grid, tuple(grid.runs), runs_root), runs_root, path)


def render_claims(grid: Grid, runs_root: Path, out_dir: Path, path: Path = CLAIMS) -> list[Path]:
    """Write claims.csv, .md and .tex to `out_dir`; return the paths. For errors see `verdicts_of`."""
    written = []
    for suffix, text in texts(grid, verdicts_of(grid, runs_root, path)).items():
        written.append(out_dir / f"{NAME}{suffix}")
        write_text(written[-1], text)
    return written
