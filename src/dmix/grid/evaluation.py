"""Evaluations of finished weights: which runs a kind takes, the digest of its code, where its results are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dmix.grid.code import NUMERIC_ROOMS, closure_in
from dmix.grid.expand import Grid
from dmix.grid.figure import RECORDS, FigureEntry
from dmix.grid.kinds import ROOM, kinds
from dmix.grid.paths import FAILURE, WORK, records_folder
from dmix.grid.spec import RunSpec, digest_of


@dataclass(frozen=True)
class EvaluationPaths:
    """Paths of one evaluation of one run, from its tier, its kind and the run's folder."""

    tier: str
    kind: str
    run: str

    @property
    def product(self) -> Path:
        """The result (`dmix.evaluation_record`), the declared output."""
        return product_of(records_folder(self.tier), self.kind, self.run)

    @property
    def work(self) -> Path:
        """Folder of the lock, log and failure."""
        return WORK / self.tier / leaf_of(self.kind, self.run)

    @property
    def failure(self) -> Path:
        """Reason for the last failure."""
        return self.work / FAILURE


def leaf_of(kind: str, run: str) -> str:
    """Return the folder of an evaluation, below that of the records and work/<tier>, from its run's."""
    return f"{kind}/{run}-{evaluation_digest(kind)}"


def product_of(runs_root: Path, kind: str, run: str) -> Path:
    """Return the result of the evaluation of the run in folder `run` of results/<tier>/records."""
    return runs_root / leaf_of(kind, run) / f"{kind}.json"


@cache
def evaluation_digest(kind: str) -> str:
    """Return 8 hexadecimal digits over the code of a kind of evaluation.

    It is over the kind's module, the package of the same name, and CODE; the run's own code is in the run's
    folder.
    """
    own = closure_in((f"dmix.{ROOM}.{kind}",), (ROOM, kind))
    return digest_of(sorted({**own, **closure_in(kinds()[kind].code, NUMERIC_ROOMS)}.items()))


def refusal(kind: str, spec: RunSpec) -> str | None:
    """Return why a kind does not take a run ("it takes runs with task semi, not transfer"), or None."""
    for key, wanted in kinds()[kind].takes.items():
        section, _, name = key.partition(".")
        value = spec.task if key == "task" else spec.settings.get(section, {}).get(name)
        if value not in wanted:
            return f"it takes runs with {key} {' or '.join(wanted)}, not {value}"
    return None


def runs_of(grid: Grid, kind: str) -> tuple[str, ...]:
    """Return the names of the tier's runs, finished or not, that a kind takes."""
    return tuple(name for name in grid.folders if refusal(kind, grid.runs[name]) is None)


def shown_evaluations(grid: Grid, figure: FigureEntry) -> Iterator[str]:
    """Yield the names of the runs whose evaluation, `reads`, a figure shows beside their records."""
    if figure.reads != RECORDS:
        for name in grid.figure_runs(figure):
            if name in grid.folders and refusal(figure.reads, grid.runs[name]) is None:
                yield name
