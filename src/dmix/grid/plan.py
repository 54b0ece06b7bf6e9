"""What would train, table by table, and how long it would take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix.grid import cost
from dmix.grid.code import accepted
from dmix.grid.expand import Grid
from dmix.grid.status import TO_TRAIN, Standing, State, standing, why_stale

UNIMPLEMENTED: State = "not yet implemented"
BLOCKED: State = "blocked"


@dataclass(frozen=True)
class Line:
    """The runs of one table, or of all of them, each counted once.

    `hours` are those of one device for what is to train or blocked.
    """

    table: str
    runs: int
    done: int
    to_train: int
    blocked: int
    unimplemented: int
    hours: float


@dataclass(frozen=True)
class Plan:
    """A line for each table and a last one for all; `stands` says where every run stands."""

    lines: tuple[Line, ...]
    stands: Mapping[str, Standing]

    @property
    def blocked(self) -> Counter[str]:
        """How many runs wait for each command that gets what they need."""
        return Counter(s.detail for s in self.stands.values() if s.state == BLOCKED)

    def accepted(self, grid: Grid) -> Counter[str]:
        """Return how many finished runs have today's code by each reason of reference/equivalent.csv."""
        done = (name for name, s in self.stands.items() if s.state == "done")
        return Counter(reason for name in done for reason in accepted(grid.runs[name]))

    def reasons(self, grid: Grid, results: Path) -> Mapping[str, str]:
        """Return why each run that would train would."""
        return {
            name: why_stale(grid, name, results) if s.state == "missing" else s.state
            for name, s in self.stands.items()
            if s.state in TO_TRAIN
        }


def make_plan(grid: Grid, results: Path, work: Path) -> Plan:
    """Return what of `grid` is left to do, from files alone."""
    measured, now = cost.measured_seconds(grid, results), time.time()
    stands = {name: standing(grid, name, results, work, now) for name in grid.runs}
    hours = {name: cost.seconds(grid, name, measured) / 3600 for name in grid.runs}

    def line(table: str, names: Iterable[str]) -> Line:
        here = [stands[name] for name in names]
        counts = Counter(s.state for s in here)
        return Line(
            table=table,
            runs=len(here),
            done=counts["done"],
            to_train=sum(counts[state] for state in TO_TRAIN),
            blocked=counts[BLOCKED],
            unimplemented=counts[UNIMPLEMENTED],
            hours=sum(hours[s.name] for s in here if s.state in (*TO_TRAIN, BLOCKED)),
        )

    tables = [line(table, grid.table_runs(definition)) for table, definition in grid.tables.items()]
    return Plan((*tables, line("all", grid.runs)), stands)
