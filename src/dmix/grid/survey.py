"""Surveys all runs of a tier in a few sweeps over the file system, whose operations overlap.

It gives the statuses that `dmix.grid.status.run_status` gives one by one, at about three operations for each
finished run and two for each that has not begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dmix.grid.damage import way_out
from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome, finished_runs
from dmix.grid.paths import RunPaths
from dmix.grid.paused_collection import paused_collection
from dmix.grid.presence import Needs
from dmix.grid.status import RunStatus, relation_status, unfinished_status
from dmix.overlap import overlapped, stats


@dataclass(frozen=True)
class Survey:
    """The state of runs at one time.

    Attributes
    ----------
    statuses: run -> status. finished: run -> what its record says, of those that have one.
    relations: class relation -> status.
    """

    statuses: Mapping[str, RunStatus]
    finished: Mapping[str, Outcome]
    relations: Mapping[str, RunStatus] = field(default_factory=dict)


@paused_collection()
def survey(grid: Grid, names: Iterable[str] | None = None, before: Survey | None = None) -> Survey:
    """Return the state of `names`, by default of all runs of the tier and its class relations.

    Parameters
    ----------
    before: an earlier survey of the same grid; what was done then is not looked at again.
    """
    wanted = tuple(grid.runs) if names is None else tuple(dict.fromkeys(names))
    finished = {} if before is None else _still_done(before, wanted)
    open_runs = {
        name: place
        for name in wanted
        if name not in finished and (place := grid.places.get(name)) is not None
    }
    finished |= finished_runs(grid.tier, open_runs)
    statuses = {name: _finished_status(grid, name, finished[name]) for name in wanted if name in finished}
    rest = [name for name in wanted if name not in finished]
    looked: dict[Needs, str | None] = {}
    for name in rest:
        if absent := grid.missing(name):
            statuses[name] = RunStatus(name, "not yet implemented", f"needs {', '.join(absent)}")
        elif to_get := grid.lacks(name, looked):
            statuses[name] = RunStatus(name, "blocked", to_get)
    ready = [name for name in rest if name not in statuses]
    statuses |= _unfinished(grid, ready)
    relations = list(grid.class_relations) if names is None else []
    found = overlapped(lambda name: relation_status(grid, name), relations)
    ordered = {name: statuses[name] for name in wanted}
    return Survey(ordered, finished, dict(zip(relations, found, strict=True)))


def _still_done(before: Survey, wanted: Iterable[str]) -> dict[str, Outcome]:
    known = ((name, before.finished.get(name)) for name in wanted)
    return {name: said for name, said in known if said is not None and not said.problem}


def _finished_status(grid: Grid, name: str, said: Outcome) -> RunStatus:
    if not said.problem:
        return RunStatus(name, "done")
    paths = RunPaths(grid.tier, grid.places[name])
    return RunStatus(name, "damaged", f"{said.problem}; {way_out(paths, name)}")


def _unfinished(grid: Grid, names: list[str]) -> dict[str, RunStatus]:
    """Return the status of runs that could train: those without a work folder have not begun."""
    works = [RunPaths(grid.tier, grid.places[name]).work for name in names]
    begun = dict(zip(names, stats([str(work) for work in works]), strict=True))
    found = overlapped(
        lambda name: unfinished_status(grid, name), [name for name in names if begun[name] is not None]
    )
    statuses = {status.name: status for status in found}
    return {name: statuses.get(name, RunStatus(name, "missing")) for name in names}
