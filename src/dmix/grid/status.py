"""Reads the run status from a run's files, and why a run that would train is stale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dmix.grid.code import code_modules
from dmix.grid.expand import Grid
from dmix.grid.paths import RECORD, RunPaths, runs_folder
from dmix.grid.promise import differences
from dmix.holder import holder_of

State = Literal["done", "running", "failed", "stopped", "missing", "blocked", "not yet implemented"]
STATES: tuple[State, ...] = get_args(State)
TO_TRAIN: tuple[State, ...] = ("running", "failed", "stopped", "missing")


@dataclass(frozen=True)
class RunStatus:
    """State of one run, and details of it for people."""

    name: str
    state: State
    detail: str = ""


def run_status(grid: Grid, name: str) -> RunStatus:
    """Return the status of the run `name`.

    Blocked: its data or initial weights are not on this machine; the detail says how to get them. Running:
    a living process holds its lock (`dmix.holder`). Stopped: it has resume state and no process.
    """
    absent = grid.missing(name)
    if absent:
        return RunStatus(name, "not yet implemented", f"needs {', '.join(absent)}")
    if way_out := grid.blocked(name):
        return RunStatus(name, "blocked", way_out)
    paths = RunPaths(grid.tier, grid.folders[name])
    if paths.record.exists():
        return RunStatus(name, "done")
    if holder_of(paths.lock):
        return RunStatus(name, "running", _progress(paths.progress))
    if paths.failure.exists():
        return RunStatus(name, "failed", paths.failure.read_text(encoding="utf-8").strip().splitlines()[0])
    if paths.checkpoint.exists():
        return RunStatus(name, "stopped", "its resume state is kept")
    return RunStatus(name, "missing")


def why_stale(grid: Grid, name: str) -> str:
    """Return why a run without a current record would train: new, or what changed since an older record."""
    spec = grid.runs[name]
    old = []
    for path in (runs_folder(grid.tier) / spec.cell).glob(f"s{spec.seed}-*/{RECORD}"):
        try:
            old.append(json.loads(path.read_bytes()))
        except (OSError, json.JSONDecodeError):
            continue  # an unreadable record does not show what changed
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


def _progress(path: Path) -> str:
    try:
        state = json.loads(path.read_bytes())
    except (OSError, json.JSONDecodeError):
        return "starting"
    left = state["seconds_left"]
    eta = f", {left:.0f} s left" if left is not None else ""
    loss = f", loss {state['loss']:.3f}" if state["loss"] is not None else ""
    return f"step {state['step']}/{state['total']}{loss}{eta} on {state['host']}"
