"""`dmix resolve`: prints a run's settings and their origins."""

from __future__ import annotations

import argparse
import json

from dmix.grid.expand import load_grid
from dmix.grid.origins import told
from dmix.grid.paths import records_folder
from dmix.verbs.common import known_run


def run(options: argparse.Namespace) -> int:
    """Print a run's settings and their origins."""
    grid = load_grid(options.tier)
    known_run(grid, options.name)
    spec = grid.runs[options.name]
    print(f"{spec.name}   spec {spec.digest()}")
    absent = f"(blocked: {way_out})" if (way_out := grid.blocked(spec.name)) else "(not yet implemented)"
    print(f"folder: {records_folder(grid.tier) / grid.folders.get(spec.name, absent)}")
    for setting in told(grid, spec.name):
        why = f"  ({setting.why})" if setting.why else ""
        print(f"  {setting.key:<22} {json.dumps(setting.value):<32} {setting.where}{why}")
    print(f"  {'seed':<22} {spec.seed}")
    return 0
