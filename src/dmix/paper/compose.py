"""Writes the document's main.tex, which inputs every table and figure of a tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dmix import __version__
from dmix.claims.judge import judge_all
from dmix.claims.words import caution, tally
from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.paper.agreement import Agreement, agreement, comparisons, farthest
from dmix.paper.coverage import Coverage, commits, coverage, data_sets, shares
from dmix.paper.environment import Latex, environment
from dmix.paper.sections import arranged
from dmix.reading import read_json
from dmix.report.build import REFERENCE, load_table
from dmix.report.compare import Comparison
from dmix.report.frame import BLOCKED, DAMAGED, INVALID, load_frame
from dmix.report.table import TableData

FARTHEST = 10
LEDGER, CLAIMS = "ledger", "claims"
BESIDE, COMPARISON = "_beside", "_comparison"
FORMS = (BESIDE, COMPARISON, "")


@dataclass(frozen=True)
class TableFloat:
    """A table of the document: what was run of it, and how it agrees.

    Attributes
    ----------
    rows: its cells beside each published number. gain: the titles of what a gain compares.
    """

    name: str
    number: str
    coverage: Coverage
    agreement: Agreement
    rows: tuple[Comparison, ...]
    gain: tuple[str, str] | None


@dataclass(frozen=True)
class FigureFloat:
    """A figure of the document, and its description for those who cannot see it."""

    name: str
    number: str
    alt: str


@dataclass(frozen=True)
class Chapter:
    """A section of the document with its tables and figures."""

    title: str
    claim: Latex
    tables: tuple[TableFloat, ...]
    figures: tuple[FigureFloat, ...]


def compose(grid: Grid, runs_root: Path, folder: Path, reference: Path = REFERENCE) -> str:
    """Return main.tex of a tier.

    Its bytes depend on the records, the parameters, `reference`, the figures' descriptions and this code.

    Parameters
    ----------
    runs_root: results/<tier>/records. folder: has the rendered tables and figures, paper_tables/<tier>.

    Raises
    ------
    DmixError: a table or figure is not rendered yet, or records of different data meet.
    """
    _refuse_absent(grid, folder)
    frame = load_frame(grid, tuple(grid.runs), runs_root)
    tables = {name: _table(grid, frame, load_table(grid, name, runs_root, reference)) for name in grid.tables}
    verdicts = judge_all(grid, frame, runs_root, reference / "claims.yaml")
    figures = {name: _figure(name, entry.number, folder) for name, entry in grid.figures.items()}
    content = _content(grid, frame, tables, figures)
    content |= {"tally": tally(verdicts), "caution": caution(grid, verdicts)}
    return environment().get_template("main.tex").render(content)


def fragments(grid: Grid) -> tuple[str, ...]:
    """Return the names of the files that main.tex reads."""
    tables = [f"{name}{form}.tex" for name in grid.tables for form in FORMS]
    figures = [f"{name}.{suffix}" for name in grid.figures for suffix in ("tex", "pdf")]
    return (*tables, *figures, *(f"{name}.tex" for name in (*grid.settings_tables, LEDGER, CLAIMS)))


def _refuse_absent(grid: Grid, folder: Path) -> None:
    absent = [file for file in fragments(grid) if not (folder / file).is_file()]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise DmixError(
            f"the document of tier {grid.tier} reads files that are not rendered yet: {folder} has no "
            f"{', '.join(absent[:3])}{more}",
            f"render them first: make reproduce TIER={grid.tier}",
        )


def _table(grid: Grid, frame: pd.DataFrame, data: TableData) -> TableFloat:
    rows = comparisons(data, grid.params)
    covered = coverage(frame, grid.table_runs(grid.params.tables[data.name]))
    return TableFloat(data.name, data.number, covered, agreement(data, rows), rows, data.gain)


def _figure(name: str, number: str, folder: Path) -> FigureFloat:
    return FigureFloat(name, number, str(read_json(folder / f"{name}.json")["alt"]))


def _content(
    grid: Grid, frame: pd.DataFrame, tables: Mapping[str, TableFloat], figures: Mapping[str, FigureFloat]
) -> dict[str, Any]:
    tier, everything = grid.params.tiers[grid.tier], coverage(frame, grid.runs)
    compared = [(table.number, row) for table in tables.values() for row in table.rows]
    unusable = frame[frame["state"].isin([INVALID, DAMAGED])]
    return {
        "version": __version__,
        "tier": grid.tier,
        "tier_title": tier.title,
        "tier_note": tier.note,
        "all": everything,
        "gaps": (
            (everything.missing, "not trained yet"),
            (everything.blocked, "blocked"),
            (everything.unusable, "not used"),
            (everything.unimplemented, "not implemented"),
        ),
        "tables": tuple(tables.values()),
        "sections": tuple(
            Chapter(
                section.title,
                Latex(section.claim),
                tuple(tables[name] for name in section.tables),
                tuple(figures[name] for name in section.figures),
            )
            for section in arranged(tables, figures)
        ),
        "data_sets": data_sets(frame, {name: entry.title for name, entry in grid.params.datasets.items()}),
        "devices": shares(frame, "device"),
        "commits": commits(frame),
        "blocked": tuple(frame[frame["state"] == BLOCKED]["problem"].value_counts().items()),
        "unusable": tuple(zip(unusable["name"], unusable["problem"], strict=True)),
        "farthest": farthest(compared, FARTHEST),
        "comparable": any(row.difference is not None for _, row in compared),
        "beside": BESIDE,
        "comparison": COMPARISON,
        "settings": tuple((name, table.number) for name, table in grid.settings_tables.items()),
        "ledger": LEDGER,
        "claims": CLAIMS,
    }
