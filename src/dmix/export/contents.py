"""Lists what a bundle has, and what is left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dmix.grid.damage import absent
from dmix.grid.evaluation import product_of
from dmix.grid.expand import Grid, folder
from dmix.grid.kinds import kinds
from dmix.grid.paths import (
    PAPER,
    RESULTS,
    ClassRelationPaths,
    RunPaths,
    records_folder,
)
from dmix.paper.compose import CLAIMS, LEDGER
from dmix.report.frame import DAMAGED, DONE, INVALID

PARAMETERS = Path("params.yaml")
# Where a file of the repository stands in a bundle.
REPOSITORY = {
    "CITATION.cff": "CITATION.cff",
    "LICENSE": "LICENSE",
    "docs/columns.md": "columns.md",
    "requirements.lock": "requirements.lock",
}
ONCE = (LEDGER, CLAIMS, "numbers", "main", "paper")


@dataclass(frozen=True)
class Contents:
    """What a bundle has.

    Attributes
    ----------
    files: path in the bundle -> the file.
    runs: how many runs have their record in it.
    left_out: what one may look for in vain -> why it is not in it.
    """

    files: Mapping[str, Path]
    runs: int
    left_out: Mapping[str, str]


def contents(grid: Grid, frame: pd.DataFrame, weights: bool, unmade: Mapping[str, str]) -> Contents:
    """Return what the bundle of a tier has.

    Parameters
    ----------
    frame: of all runs (`dmix.report.frame.load_frame`). weights: whether it has those of every run.
    unmade: product in paper_tables/<tier> that is not to be in it -> why.
    """
    files = {place: Path(name) for name, place in REPOSITORY.items()}
    files |= {f"parameters/{path}": path for path in (PARAMETERS, *sorted(Path("params").rglob("*.yaml")))}
    files |= {str(path): path for path in sorted(Path("reference").glob("*.csv"))}
    files["reference/claims.yaml"] = Path("reference/claims.yaml")
    files["frame.csv"] = RESULTS / grid.tier / "frame.csv"
    products = PAPER / grid.tier
    files |= {f"tables/{path.name}": path for path in _products(grid, products) if path.name not in unmade}
    files["page/index.html"] = RESULTS / grid.tier / "report" / "index.html"
    done = frame[frame["state"] == DONE]["folder"]
    for place in done:
        found = (*_of_run(grid, str(place), weights), *_evaluations(grid, str(place)))
        files |= {str(path.relative_to(RESULTS / grid.tier)): path for path in found}
    for spec in grid.class_relations.values():
        found = tuple(_of_relation(grid, folder(spec)))
        files |= {str(path.relative_to(RESULTS / grid.tier)): path for path in found}
    unusable = frame[frame["state"].isin([DAMAGED, INVALID])]
    states = zip(unusable["name"], unusable["state"], unusable["problem"], strict=True)
    left_out = {str(name): f"{state}: {problem}" for name, state, problem in states}
    if weights:
        here = (RunPaths(grid.tier, str(place)) for place in done)
        left_out |= {str(paths.weights): "they are not here" for paths in here if absent(paths.weights)}
    return Contents(files, len(done), {**unmade, **left_out})


def _products(grid: Grid, folder: Path) -> Iterator[Path]:
    """Yield the rendered files of today's tables and figures, and those of the whole document."""
    names = (*grid.tables, *grid.figures, *grid.settings_tables, *ONCE)
    for path in sorted(folder.glob("[!.]*")):
        if any(path.stem == name or path.stem.startswith(f"{name}_") for name in names):
            yield path


def _of_run(grid: Grid, place: str, weights: bool) -> Iterator[Path]:
    here = RunPaths(grid.tier, place)
    yield from (here.record, here.history)
    if here.labelled.exists():
        yield here.labelled
    if weights and not absent(here.weights):
        yield here.weights


def _evaluations(grid: Grid, place: str) -> Iterator[Path]:
    """Yield the evaluations of a run that are there, of every kind."""
    products = (product_of(records_folder(grid.tier), kind, place) for kind in kinds())
    yield from (path for path in products if path.exists())


def _of_relation(grid: Grid, place: str) -> Iterator[Path]:
    paths = ClassRelationPaths(grid.tier, place)
    if paths.record.exists():
        yield from (paths.record, paths.matrix)
