"""`dmix status`: shows the status of every run, live on a terminal while runs are in progress."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dmix.console.overview import Overview, overview
from dmix.console.plain import lines
from dmix.console.since import moment
from dmix.grid.cost import Costs
from dmix.grid.expand import Grid, folder, load_grid
from dmix.grid.paths import ClassRelationPaths, RunPaths
from dmix.grid.select import selected
from dmix.grid.status import RunStatus
from dmix.grid.survey import Survey, survey
from dmix.overlap import stats


def run(options: argparse.Namespace) -> int:
    """Show the status of every run, by table, or of a selection; return 1 if a run or relation failed."""
    since = moment(options.since) if options.since else None
    grid = load_grid(options.tier, thorough=False)
    parts: Mapping[str, Sequence[str]]
    parts = {table: grid.table_runs(definition) for table, definition in grid.tables.items()}
    names = selected(grid, options.select) if options.select else None
    if names is not None:
        parts = {options.select: names}
    hours: Mapping[str, float] = {}
    last: Survey | None = None

    def look() -> Overview:
        nonlocal hours, last
        last = survey(grid, names, last)
        hours = hours or _hours(grid, last if names is None else None)
        failed_at = _failed_at(grid, last) if since is not None else {}
        return overview(grid.tier, parts, last, hours, since, failed_at)

    found = _as_json(look, parts) if options.json else _shown(look, options.once)
    return int(any(each.failure for each in found.of("failed")))


def _hours(grid: Grid, found: Survey | None) -> Mapping[str, float]:
    """Return run -> expected hours; `found` spares looking at the finished runs again."""
    costs = Costs(grid, done=None if found is None else found.finished)
    return {name: costs[name].hours for name in grid.runs}


def _shown(look: Callable[[], Overview], once: bool) -> Overview:
    if not sys.stdout.isatty():
        found = look()
        for line in lines(found):
            print(line)
        return found
    from rich.console import Console

    from dmix.console.live import watch
    from dmix.console.view import show

    if not once:
        return watch(look, Console())
    found = look()
    show(Console(), found)
    return found


def _as_json(look: Callable[[], Overview], parts: Mapping[str, Sequence[str]]) -> Overview:
    found = look()
    runs = {each.name: each for each in found.runs}
    failures = {each.name: each.failure for each in found.of("failed") if each.failure}
    print(
        json.dumps(
            {
                "tier": found.tier,
                "tables": {
                    table: {name: _entry(runs[name]) for name in names} for table, names in parts.items()
                },
                "failed": {name: dataclasses.asdict(failure) for name, failure in failures.items()},
                "hours": {"used": found.used_hours, "left": found.left_hours},
                "finished": {name: dataclasses.asdict(said) for name, said in found.recent()},
            }
        )
    )
    return found


def _failed_at(grid: Grid, found: Survey) -> Mapping[str, float]:
    """Return name -> time of the failure, in seconds since the epoch, of failed runs and class relations."""
    runs = [name for name, status in found.statuses.items() if status.state == "failed"]
    relations = [name for name, status in found.relations.items() if status.state == "failed"]
    paths = [
        *(RunPaths(grid.tier, grid.places[name]).failure for name in runs),
        *(ClassRelationPaths(grid.tier, folder(grid.class_relations[name])).failure for name in relations),
    ]
    looked = zip((*runs, *relations), stats([str(path) for path in paths]), strict=True)
    return {name: at.st_mtime for name, at in looked if at is not None}


def _entry(status: RunStatus) -> dict[str, Any]:
    entry: dict[str, Any] = {"state": status.state, "detail": status.detail}
    if status.progress is not None:
        entry["progress"] = status.progress.model_dump()
    return entry
