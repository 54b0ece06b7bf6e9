"""Tells what of a tier's rendered files is of another state than its records, parameters and code."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from dmix.claims.build import render_claims
from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.artefact import figure_digest
from dmix.grid.expand import Grid
from dmix.grid.paths import PAPER, RECORD, RESULTS, records_folder
from dmix.page.digest import page_digest
from dmix.paper.compose import LEDGER, compose, fragments
from dmix.paper.typeset import latex_is_here, made_of
from dmix.report.build import REFERENCE, render
from dmix.report.deviations import read_deviations
from dmix.report.frame import to_csv
from dmix.report.ledger import concerned, to_ledger
from dmix.report.settings_table import render_settings

MAIN, PDF = "main.tex", "paper.pdf"
SHOWN = 5


def refuse_mixed(grid: Grid, frame: pd.DataFrame) -> None:
    """Refuse to go on unless every rendered file is what the tier's records give today.

    The data frame, the tables and main.tex are rendered again and compared; a figure and the page, which may
    take minutes, have to be of today's digest and younger than the records that they show.

    Parameters
    ----------
    frame: of all runs, as they are now.

    Raises
    ------
    DmixError: some are stale or absent; names them, and the commands.
    """
    stale = list(_stale(grid, frame))
    if stale:
        more = f" and {len(stale) - SHOWN} more" if len(stale) > SHOWN else ""
        raise DmixError(
            f"nothing is exported: of tier {grid.tier}, {', '.join(stale[:SHOWN])}{more} are not what its "
            "records, parameters and code give today",
            f"render them: make reproduce TIER={grid.tier}; or, without training what is missing, dmix "
            "collect, dmix table NAME, dmix figure NAME, dmix report, dmix page and dmix paper",
            exit_code=1,
        )


def absent_pdf(grid: Grid) -> dict[str, str]:
    """Return the PDF and why it is not exported where this machine cannot make it, or nothing."""
    if latex_is_here() or _pdf_is_current(grid):
        return {}
    return {PDF: "it is not made of these files, and this machine has no LaTeX to make it"}


def _stale(grid: Grid, frame: pd.DataFrame) -> Iterator[str]:
    folder = PAPER / grid.tier
    collected = RESULTS / grid.tier / "frame.csv"
    if not collected.is_file() or collected.read_text(encoding="utf-8") != to_csv(frame):
        yield str(collected)
    yield from (str(path) for path in _stale_tables(grid, folder))
    yield from (str(folder / f"{name}.pdf") for name in grid.figures if not _figure_is_current(grid, name))
    if not _main_is_current(grid, folder):
        yield str(folder / MAIN)
    elif latex_is_here() and not _pdf_is_current(grid):
        yield str(folder / PDF)
    page = RESULTS / grid.tier / "report" / "index.html"
    if not _is_drawn(grid, f"page-{page_digest(grid)}", (page,), grid.runs):
        yield str(page)


def _main_is_current(grid: Grid, folder: Path) -> bool:
    if not all((folder / name).is_file() for name in (*fragments(grid), MAIN)):
        return False
    return (folder / MAIN).read_text(encoding="utf-8") == compose(grid, records_folder(grid.tier), folder)


def _stale_tables(grid: Grid, folder: Path) -> Iterator[Path]:
    """Yield the first product of each table whose bytes are others than those that the records give."""
    runs = records_folder(grid.tier)
    for name in grid.tables:
        yield from _first_other(folder, partial(render, grid, name, runs))
    for name in grid.settings_tables:
        yield from _first_other(folder, partial(render_settings, grid, name))
    yield from _first_other(folder, partial(_ledger, grid))
    yield from _first_other(folder, partial(render_claims, grid, runs))


def _ledger(grid: Grid, place: Path) -> Iterator[Path]:
    deviations = read_deviations(REFERENCE / "deviations.csv")
    path = place / f"{LEDGER}.tex"
    write_text(path, to_ledger(deviations, concerned(grid, deviations)))
    yield path


def _first_other(folder: Path, rendered: Callable[[Path], Iterable[Path]]) -> Iterator[Path]:
    """Yield the first file that is not in `folder` with the bytes that `rendered` writes to a place."""
    with tempfile.TemporaryDirectory() as place:
        for path in rendered(Path(place)):
            there = folder / path.name
            if not there.is_file() or there.read_bytes() != path.read_bytes():
                yield there
                return


def _figure_is_current(grid: Grid, name: str) -> bool:
    products = [PAPER / grid.tier / f"{name}.{suffix}" for suffix in ("pdf", "png", "csv", "tex", "json")]
    runs = grid.figure_runs(grid.figures[name])
    return _is_drawn(grid, f"{name}-{figure_digest(grid, name)}", products, runs)


def _is_drawn(grid: Grid, stamp_name: str, products: Collection[Path], runs: Iterable[str]) -> bool:
    """Return whether products are of today's digest, by their stamp, and younger than `runs`' records."""
    stamp = RESULTS / grid.tier / "build" / "published" / stamp_name
    if not stamp.exists() or not all(path.is_file() for path in products):
        return False
    # A product whose bytes did not change keeps its time, and the stamp alone is new.
    drawn = max(stamp.stat().st_mtime, min(path.stat().st_mtime for path in products))
    return drawn >= newest(grid, runs)


def newest(grid: Grid, names: Iterable[str]) -> float:
    """Return when the records of `names` last changed, in seconds; a deleted one changed its folder."""
    times = [0.0]
    for name in names:
        if name in grid.folders:
            path = records_folder(grid.tier) / grid.folders[name] / RECORD
            while not path.exists():
                path = path.parent
            times.append(path.stat().st_mtime)
    return max(times)


def _pdf_is_current(grid: Grid) -> bool:
    folder = PAPER / grid.tier
    if not (folder / PDF).is_file() or not (folder / MAIN).is_file():
        return False
    main = (folder / MAIN).read_text(encoding="utf-8")
    return made_of(main, folder, fragments(grid)) in (folder / PDF).read_bytes()
