"""`dmix status`: prints the status of every run."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from dmix.grid.damage import remembered
from dmix.grid.expand import load_grid
from dmix.grid.paths import runs_folder
from dmix.grid.select import selected
from dmix.grid.status import RunStatus, relation_status, run_status


def run(options: argparse.Namespace) -> int:
    """Print the status of every run, by table, or of a selection; return 1 if a run or relation failed."""
    grid = load_grid(options.tier)
    with remembered(runs_folder(grid.tier)) as digest:
        parts = {table: grid.table_runs(definition) for table, definition in grid.tables.items()}
        if options.select:
            parts = {options.select: selected(grid, options.select)}
        by_table = {
            table: [run_status(grid, name, digest) for name in names] for table, names in parts.items()
        }
    everything = {s.name: s for here in by_table.values() for s in here}
    if not options.select:
        everything |= {name: relation_status(grid, name) for name in grid.class_relations}
    failed = {name: s.failure for name, s in everything.items() if s.failure and s.state == "failed"}
    if options.json:
        tables = {table: {s.name: _entry(s) for s in here} for table, here in by_table.items()}
        listed = {name: dataclasses.asdict(failure) for name, failure in failed.items()}
        print(json.dumps({"tier": grid.tier, "tables": tables, "failed": listed}))
    else:
        from dmix.console import print_status

        print_status(grid.tier, by_table, everything.values())
    return int(bool(failed))


def _entry(status: RunStatus) -> dict[str, Any]:
    entry: dict[str, Any] = {"state": status.state, "detail": status.detail}
    if status.progress is not None:
        entry["progress"] = status.progress.model_dump()
    return entry
