"""Where each run stands, from files alone, and why a run that would train is stale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from dmix.grid.code import code_modules
from dmix.grid.expand import Grid
from dmix.grid.promise import differences

State = Literal["done", "running", "failed", "stopped", "missing", "blocked", "not yet implemented"]
STATES: tuple[State, ...] = get_args(State)
TO_TRAIN: tuple[State, ...] = ("running", "failed", "stopped", "missing")
ALIVE_SECONDS = 120.0


@dataclass(frozen=True)
class Standing:
    """State of one run and what to say about it."""

    name: str
    state: State
    detail: str = ""


def standing(grid: Grid, name: str, results: Path, work: Path, now: float) -> Standing:
    """Return where the run `name` stands.

    Blocked: its data set or the weights it starts from are not on this machine, and the detail says how to
    get them. Running: its lock's heartbeat is younger than two minutes. Stopped: it has resume state and no
    process.
    """
    absent = grid.missing(name)
    if absent:
        return Standing(name, "not yet implemented", f"needs {', '.join(absent)}")
    if way_out := grid.blocked(name):
        return Standing(name, "blocked", way_out)
    folder = grid.folders[name]
    if (results / grid.tier / "runs" / folder / "record.json").exists():
        return Standing(name, "done")
    desk = work / grid.tier / folder
    lock = desk / "lock"
    if lock.exists() and now - lock.stat().st_mtime < ALIVE_SECONDS:
        return Standing(name, "running", _progress(desk / "progress.json"))
    if (desk / "failure.txt").exists():
        return Standing(name, "failed", (desk / "failure.txt").read_text().strip().splitlines()[0])
    if (desk / "checkpoint.pt").exists():
        return Standing(name, "stopped", "its resume state is kept")
    return Standing(name, "missing")


def why_stale(grid: Grid, name: str, results: Path) -> str:
    """Return why a run without a current record would train: new, or what changed since an older record."""
    spec = grid.runs[name]
    home = results / grid.tier / "runs" / spec.cell
    old = []
    for path in home.glob(f"s{spec.seed}-*/record.json"):
        try:
            old.append(json.loads(path.read_bytes()))
        except (OSError, json.JSONDecodeError):
            continue  # an unreadable record is no evidence of what changed
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
