"""Reads the run status from a run's files, and why a run that would train is stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dmix.errors import DmixError
from dmix.files import sha256
from dmix.grid.code import code_modules
from dmix.grid.damage import Digest, damage, way_out
from dmix.grid.expand import Grid, folder
from dmix.grid.failure import Failure, read_failure
from dmix.grid.paths import RECORD, ClassRelationPaths, RunPaths, records_folder
from dmix.grid.presence import Needs
from dmix.grid.progress import Progress, read_progress
from dmix.grid.promise import differences
from dmix.holder import age, holder_of
from dmix.reading import read_json

State = Literal[
    "done", "damaged", "running", "hangs", "failed", "stopped", "missing", "blocked", "not yet implemented"
]
STATES: tuple[State, ...] = get_args(State)
TO_TRAIN: tuple[State, ...] = ("damaged", "running", "hangs", "failed", "stopped", "missing")
HANGS_SECONDS = 1800.0
"""A run whose last step is older than this is said to hang; an evaluation between two steps takes minutes."""


@dataclass(frozen=True)
class RunStatus:
    """State of one run, and details of it for people.

    `failure` is its last one, unless it got further since; `progress` that of a process at work on it.
    """

    name: str
    state: State
    detail: str = ""
    failure: Failure | None = None
    progress: Progress | None = None


def run_status(grid: Grid, name: str, digest: Digest = sha256) -> RunStatus:
    """Return the status of the run `name`.

    Done and damaged: it has a record; of a damaged one, a file is not what the record says
    (`dmix.grid.damage`; `digest` returns the SHA-256 of a file). Blocked: its data or initial weights are not
    on this machine; the detail says how to get them. Running: a living process holds its lock
    (`dmix.holder`). Hangs: as well, but no step ended for half an hour. Failed: it got no further since an
    error. Stopped: it has resume state and no process.
    """
    absent = grid.missing(name)
    if absent:
        return RunStatus(name, "not yet implemented", f"needs {', '.join(absent)}")
    if to_get := grid.blocked(name):
        return RunStatus(name, "blocked", to_get)
    paths = RunPaths(grid.tier, grid.folders[name])
    if paths.record.exists():
        if problem := damage(paths.results, paths.weights, digest):
            return RunStatus(name, "damaged", f"{problem}; {way_out(paths, name)}")
        return RunStatus(name, "done")
    return unfinished_status(grid, name)


def unfinished_status(grid: Grid, name: str) -> RunStatus:
    """Return the status of a run that has no record and lacks nothing."""
    paths = RunPaths(grid.tier, grid.places[name])
    failure = read_failure(paths.failure)
    if holder_of(paths.lock):
        return _running(paths, name, failure)
    if failure is not None:
        return RunStatus(name, "failed", failure.reason, failure)
    if paths.checkpoint.exists():
        return RunStatus(name, "stopped", "its resume state is kept")
    return RunStatus(name, "missing")


def blocked_runs(grid: Grid) -> Counter[str]:
    """Return way out -> number of runs of the tier that it unblocks."""
    looked: dict[Needs, str | None] = {}
    return Counter(way_out for name in grid.places if (way_out := grid.blocked(name, looked)))


def relation_status(grid: Grid, name: str) -> RunStatus:
    """Return the status of the class relation `name`: done, running, failed or missing."""
    paths = ClassRelationPaths(grid.tier, folder(grid.class_relations[name]))
    if paths.record.exists():
        return RunStatus(name, "done")
    if holder_of(paths.work / "lock"):
        return RunStatus(name, "running", "learning")
    if failure := read_failure(paths.failure):
        return RunStatus(name, "failed", failure.reason, failure)
    return RunStatus(name, "missing")


def why_stale(grid: Grid, name: str) -> str:
    """Return why a run without a current record would train: new, or what changed since an older record."""
    spec = grid.runs[name]
    old = []
    for path in (records_folder(grid.tier) / spec.cell).glob(f"s{spec.seed}-*/{RECORD}"):
        try:
            record = read_json(path)
        except DmixError:
            continue  # an unreadable record does not show what changed
        if isinstance(record.get("spec"), dict) and isinstance(record.get("code_modules"), dict):
            old.append(record)
    if not old:
        return "new"
    today = spec.identity()
    nearest: Mapping[str, Any] = min(old, key=lambda record: len(differences(record["spec"], today)))
    changes = differences(nearest["spec"], today)
    if not changes:
        before: Mapping[str, str] = nearest["code_modules"]
        modules = code_modules(spec)
        changes = [
            f"code of {module} changed"
            for module in sorted({*before, *modules})
            if before.get(module) != modules.get(module)
        ]
    return "; ".join(changes)


def _running(paths: RunPaths, name: str, failure: Failure | None) -> RunStatus:
    before = f"; it failed before: {failure.reason}" if failure is not None else ""
    progress = read_progress(paths.progress)
    detail = (f"{progress}, on {progress.host}" if progress else "starting") + before
    if (idle := _idle_seconds(paths.progress)) >= HANGS_SECONDS:
        return RunStatus(name, "hangs", f"no step for {idle / 60:.0f} minutes; {detail}", failure, progress)
    return RunStatus(name, "running", detail, failure, progress)


def _idle_seconds(progress: Path) -> float:
    """Return how long ago the last step was, in seconds; 0 before the first one."""
    try:
        return age(progress)
    except OSError:
        return 0.0
