"""Plans what would train, table by table, and how long it would take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dmix.grid import cost
from dmix.grid.code import accepted
from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome
from dmix.grid.gpus import Gpu
from dmix.grid.status import TO_TRAIN, RunStatus, State, why_stale
from dmix.grid.survey import survey
from dmix.overlap import overlapped

UNIMPLEMENTED: State = "not yet implemented"
BLOCKED: State = "blocked"


@dataclass(frozen=True)
class Line:
    """The runs of one table, or of all of them, each counted once.

    `hours` are the expected hours of one device for the runs to train and the blocked ones.
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
    """A line for each table, a last one for all runs, and the status of every run by name."""

    lines: tuple[Line, ...]
    statuses: Mapping[str, RunStatus]

    @property
    def blocked(self) -> Counter[str]:
        """Command that unblocks runs -> number of blocked runs."""
        return Counter(s.detail for s in self.statuses.values() if s.state == BLOCKED)

    def accepted(self, grid: Grid) -> Counter[str]:
        """Return reason in reference/equivalent.csv -> number of finished runs that it keeps current."""
        done = (name for name, s in self.statuses.items() if s.state == "done")
        return Counter(reason for name in done for reason in accepted(grid.runs[name]))

    def reasons(self, grid: Grid) -> Mapping[str, str]:
        """Return name -> reason, of each run that would train, or has to be got or trained again."""
        found = {name: s for name, s in self.statuses.items() if s.state in TO_TRAIN}
        missing = [name for name, s in found.items() if s.state == "missing"]
        own = dict(zip(missing, overlapped(lambda name: why_stale(grid, name), missing), strict=True))
        own |= {name: f"damaged: {s.detail}" for name, s in found.items() if s.state == "damaged"}
        return {name: own.get(name, s.state) for name, s in found.items()}


def hours_of(
    grid: Grid, gpu: Gpu | None = None, done: Mapping[str, Outcome] | None = None
) -> Mapping[str, float]:
    """Return run -> expected hours: as similar finished ones, else estimated, for `gpu` if it is given.

    Parameters
    ----------
    done: what is known of the finished runs, by default looked up.
    """
    measured = cost.measured_seconds(grid, done)
    seconds = cost.seconds if gpu is None else gpu.seconds
    return {name: seconds(grid, name, measured) / 3600 for name in grid.runs}


def make_plan(grid: Grid, gpu: Gpu | None = None) -> Plan:
    """Return the plan of `grid`, from files alone; estimated hours are those of `gpu`, if it is given."""
    found = survey(grid, grid.runs)
    hours, statuses = hours_of(grid, gpu, found.finished), found.statuses

    def line(table: str, names: Iterable[str]) -> Line:
        here = [statuses[name] for name in names]
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
    return Plan((*tables, line("all", grid.runs)), statuses)
