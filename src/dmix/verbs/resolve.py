"""`dmix resolve`: prints a run's settings and their origins."""

from __future__ import annotations

import argparse
import json

from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import runs_folder
from dmix.grid.spec import SECTIONS
from dmix.verbs.common import known_run


def run(options: argparse.Namespace) -> int:
    """Print a run's settings and their origins."""
    grid = load_grid(options.tier)
    known_run(grid, options.name)
    spec = grid.runs[options.name]
    origins = grid.origins(options.name)
    print(f"{spec.name}   spec {spec.digest()}")
    absent = f"(blocked: {way_out})" if (way_out := grid.blocked(spec.name)) else "(not yet implemented)"
    print(f"folder: {runs_folder(grid.tier) / grid.folders.get(spec.name, absent)}")
    for section in SECTIONS:
        for key, value in spec.settings[section].items():
            setting = origins.get((section, key))
            where = "neutral value"
            if setting is not None:
                line = grid.document.where(*setting.origin).partition(": ")[0]
                where = f"{line}{_why(grid, setting.origin)}"
            print(f"  {f'{section}.{key}':<22} {json.dumps(value):<32} {where}")
    print(f"  {'seed':<22} {spec.seed}")
    return 0


def _why(grid: Grid, origin: tuple[str | int, ...]) -> str:
    """Return "  (reason)" if an override set the value, else ""."""
    value: object = grid.document.data
    for key in origin[: origin.index("set")] if "set" in origin else ():
        value = value[key]  # type: ignore[index]
    return f"  ({value['why']})" if isinstance(value, dict) and "why" in value and "set" in origin else ""
