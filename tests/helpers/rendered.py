"""A tier with fabricated runs, all tables rendered, and figures that stand in for the drawn ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from dmix.claims.build import render_claims
from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec
from dmix.paper.compose import compose, fragments
from dmix.plot.render import METADATA, to_latex
from dmix.plot.style import INCHES
from dmix.report.build import render
from dmix.report.deviations import read_deviations
from dmix.report.ledger import concerned, to_ledger
from dmix.report.settings_table import render_settings
from fabricated import everything_present, fabricate, invented_score
from project import ROOT, real_grid

REFERENCE = ROOT / "reference"


@dataclass(frozen=True)
class Rendered:
    """A tier whose records are in `runs` and whose rendered files are in `folder`."""

    grid: Grid
    runs: Path
    folder: Path

    def tables(self) -> None:
        for name in self.grid.tables:
            render(self.grid, name, self.runs, self.folder, REFERENCE)
        for name in self.grid.settings_tables:
            render_settings(self.grid, name, self.folder)
        deviations = read_deviations(REFERENCE / "deviations.csv")
        ledger = to_ledger(deviations, concerned(self.grid, deviations))
        (self.folder / "ledger.tex").write_text(ledger, encoding="utf-8")
        render_claims(self.grid, self.runs, self.folder, REFERENCE / "claims.yaml")

    def main(self) -> str:
        return compose(self.grid, self.runs, self.folder, REFERENCE)

    @property
    def files(self) -> tuple[str, ...]:
        return fragments(self.grid)

    def delete_records(self, count: int, seed: int = 0) -> list[str]:
        """Delete `count` random records; return the names of their runs."""
        there = [name for name, place in self.grid.places.items() if (self.runs / place).exists()]
        gone = random.Random(seed).sample(there, count)
        for name in gone:
            (self.runs / self.grid.places[name] / "record.json").unlink()
        return gone


def rendered(
    tier: str,
    root: Path,
    names: Iterable[str] | None = None,
    score: Callable[[RunSpec], float] = invented_score,
    grid: Grid | None = None,
) -> Rendered:
    """Fabricate runs of a tier below `root` and render everything.

    Parameters
    ----------
    names: runs with a record; None: all. grid: of the tier; None: the whole one.
    """
    grid = everything_present(real_grid(tier) if grid is None else grid)
    made = Rendered(grid, root / f"results/{tier}/records", root / f"paper_tables/{tier}")
    fabricate(made.grid, made.runs, names, score=score)
    made.tables()
    for name in made.grid.figures:
        stand_in(made.grid, name, made.folder)
    return made


def narrowed(tier: str, *tables: str) -> Grid:
    """Return the grid of a tier with these tables, no figure of another table, and what their runs need."""
    grid = real_grid(tier)
    figures = {name: entry for name, entry in grid.params.figures.items() if entry.table in (None, *tables)}
    kept = {"tables": {name: grid.params.tables[name] for name in tables}, "figures": figures}
    params = grid.params.model_copy(update=kept)
    wanted = [grid.table_runs(table) for table in params.tables.values()]
    wanted += [grid.figure_runs(figure) for figure in params.figures.values()]
    runs = {name: grid.runs[name] for names in wanted for name in names}
    runs |= {spec.source.name: grid.runs[spec.source.name] for spec in [*runs.values()] if spec.source}
    grids = {key: tuple(name for name in names if name in runs) for key, names in grid.grids.items()}
    return replace(grid, params=params, runs=runs, grids=grids)


def stand_in(grid: Grid, name: str, folder: Path) -> None:
    """Write the products of a figure without drawing it: axes of its size, and its real float."""
    entry = grid.figures[name]
    with mpl.rc_context({"pdf.fonttype": 42}):
        figure = Figure(figsize=(INCHES[entry.width], 1.5))
        figure.subplots().set_title(name)
        for suffix, metadata in METADATA.items():
            figure.savefig(folder / f"{name}.{suffix}", metadata=metadata)
    (folder / f"{name}.tex").write_text(to_latex(name, entry, f"{entry.title}. {entry.caption}"))
    (folder / f"{name}.csv").write_text("x\n")
    about = {
        "number": entry.number,
        "title": entry.title,
        "caption": entry.caption,
        "alt": f"Lines of {name}.",
    }
    (folder / f"{name}.json").write_text(json.dumps(about))
