"""`dmix runs`: lists names of runs."""

from __future__ import annotations

import argparse

from dmix.grid.damage import remembered
from dmix.grid.expand import load_grid
from dmix.grid.paths import RunPaths, records_folder, weights_folder
from dmix.grid.status import run_status
from dmix.verbs.choosing import chosen_by


def run(options: argparse.Namespace) -> int:
    """Print the names of the chosen runs, or the folders of their weights, in the order of the grids."""
    grid = load_grid(options.tier)
    names = chosen_by(grid, options)
    if options.state:
        with remembered(records_folder(grid.tier)) as digest:
            names = tuple(name for name in names if run_status(grid, name, digest).state in options.state)
    for name in names:
        if not options.weights:
            print(name)
        elif (place := grid.places.get(name)) and RunPaths(grid.tier, place).record.exists():
            print(weights_folder(grid.tier) / place)
    return 0
