"""`dmix relate`: learns one class relation."""

from __future__ import annotations

import argparse
import dataclasses

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.promise import check
from dmix.job.versions import noted
from dmix.verbs.common import ready_run, recording


@recording
def run(options: argparse.Namespace) -> int:
    """Learn one class relation."""
    grid = load_grid(options.tier, thorough=not options.promise)
    if options.promise:
        check(dataclasses.replace(grid, runs=grid.class_relations), options.name, options.promise)
    if options.name not in grid.class_relations:
        for name, spec in grid.runs.items():
            if spec.relation is not None and spec.relation.name == options.name:
                ready_run(grid, name)
        raise DmixError(
            f"there is no class relation named {options.name!r} at tier {grid.tier}",
            f"choose of {', '.join(grid.class_relations)}"
            if grid.class_relations
            else "no run here needs one",
        )
    noted()
    from dmix.job.class_relation import relate
    from dmix.job.options import Options

    how = Options(options.device, devices=options.devices, per_device=options.per_device)
    return relate(grid, options.name, how)
