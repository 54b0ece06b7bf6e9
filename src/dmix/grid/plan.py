"""Plans what would train, table by table: the time on a number of GPUs, and the disk that it needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dmix.grid.code import accepted
from dmix.grid.cost import Basis, Cost, Costs
from dmix.grid.disk import Disk, disk_of
from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome
from dmix.grid.order import ranks
from dmix.grid.paused_collection import paused_collection
from dmix.grid.schedule import Schedule, list_schedule
from dmix.grid.sharing import Sharing
from dmix.grid.status import TO_TRAIN, RunStatus, State, why_stale
from dmix.grid.survey import Survey, survey
from dmix.overlap import overlapped

UNIMPLEMENTED: State = "not yet implemented"
BLOCKED: State = "blocked"
OPEN: tuple[State, ...] = (*TO_TRAIN, BLOCKED)
"""States of runs whose time is still to be spent."""


@dataclass(frozen=True)
class Line:
    """The runs of one table, or of all of them, each counted once.

    `hours` are the expected hours of one device for the runs to train and the blocked ones, `days` those of
    the plan's number of devices for these runs alone.
    """

    table: str
    runs: int
    done: int
    to_train: int
    blocked: int
    unimplemented: int
    hours: float
    days: float


@dataclass(frozen=True)
class Plan:
    """What would train.

    Attributes
    ----------
    lines: one for each table with a chosen run, and a last one for all chosen runs.
    statuses, costs: of each chosen run, by name.
    schedule: of the runs to train and the blocked ones.
    sharing: how many devices share each of these, and whether it fits; none where no kind of device is named.
    """

    lines: tuple[Line, ...]
    statuses: Mapping[str, RunStatus]
    costs: Mapping[str, Cost]
    schedule: Schedule
    disk: Disk
    sharing: Mapping[str, Sharing]

    @property
    def blocked(self) -> Counter[str]:
        """Command that unblocks runs -> number of blocked runs."""
        return Counter(s.detail for s in self.statuses.values() if s.state == BLOCKED)

    @property
    def open(self) -> tuple[str, ...]:
        """Names of the runs to train and of the blocked ones."""
        return tuple(name for name, status in self.statuses.items() if status.state in OPEN)

    @property
    def bases(self) -> Counter[Basis]:
        """Basis -> number of open runs whose hours have it."""
        return Counter(self.costs[name].basis for name in self.open)

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


@paused_collection()
def make_plan(
    grid: Grid,
    costs: Costs | None = None,
    names: Sequence[str] | None = None,
    gpus: int = 1,
    tables: Collection[str] = (),
    share: Callable[[str, int], Sharing] | None = None,
    done: Mapping[str, Outcome] | None = None,
) -> Plan:
    """Return the plan of the runs `names`, by default all of the grid, from files alone.

    Parameters
    ----------
    costs: of the runs; by default those of `Costs(grid)`.
    gpus: how many devices there are, each of which trains one run at a time, or its part of one.
    share: run, `gpus` -> how many devices share it; by default each run has one.
    tables: those that get a line; by default all with a chosen run.
    done: what is known of the finished runs, where it was just looked up.
    """
    chosen = tuple(grid.runs) if names is None else tuple(names)
    found = survey(grid, chosen, None if done is None else Survey({}, done))
    statuses = found.statuses
    if costs is None:
        costs = Costs(grid, done=found.finished if names is None else None)
    of_run = {name: costs[name] for name in chosen if not grid.missing(name)}
    rank = ranks(grid)
    order = sorted((name for name, s in statuses.items() if s.state in OPEN), key=rank.__getitem__)
    sources = {name: (source.name,) for name in order if (source := grid.runs[name].source) is not None}

    sharing = {name: share(name, gpus) for name in order} if share else {}
    widths = {name: found.processes for name, found in sharing.items() if found.processes > 1}

    def schedule(those: Iterable[str]) -> Schedule:
        wanted = set(those)
        own = [name for name in order if name in wanted]
        hours = {name: of_run[name].hours / widths.get(name, 1) for name in own}
        return list_schedule(hours, own, sources, gpus, widths)

    def line(table: str, those: Sequence[str], makespan: float) -> Line:
        here = [statuses[name] for name in those]
        counts = Counter(s.state for s in here)
        return Line(
            table=table,
            runs=len(here),
            done=counts["done"],
            to_train=sum(counts[state] for state in TO_TRAIN),
            blocked=counts[BLOCKED],
            unimplemented=counts[UNIMPLEMENTED],
            hours=sum(of_run[s.name].hours for s in here if s.state in OPEN),
            days=makespan / 24,
        )

    of_table = {
        table: [name for name in grid.table_runs(definition) if name in statuses]
        for table, definition in grid.tables.items()
        if not tables or table in tables
    }
    lines = [line(table, those, schedule(those).makespan) for table, those in of_table.items() if those]
    whole = schedule(order)
    return Plan(
        (*lines, line("all", chosen, whole.makespan)),
        statuses,
        of_run,
        whole,
        disk_of(grid, of_run, order, gpus),
        sharing,
    )
