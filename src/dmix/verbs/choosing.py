"""What commands on many runs have in common: the runs that their options choose, and named selections."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from pathlib import Path

from dmix.grid.choose import Wanted, choose_runs
from dmix.grid.expand import Grid
from dmix.grid.select import selected, with_sources, write_selection


def wanted_by(options: argparse.Namespace) -> Wanted:
    """Return what the options --tables, --seeds, ... say."""
    fields = (field.name for field in dataclasses.fields(Wanted))
    return Wanted(**{name: tuple(getattr(options, name) or ()) for name in fields})


def chosen_by(grid: Grid, options: argparse.Namespace) -> tuple[str, ...]:
    """Return the chosen runs and those that they start from, in the order of the grids; without options, all.

    Raises
    ------
    DmixError: nothing is chosen, or there is no such selection.
    """
    among = selected(grid, options.select) if options.select else None
    return with_sources(grid, choose_runs(grid, wanted_by(options), among))


def save(grid: Grid, name: str, remarks: Iterable[str], lines: Iterable[str]) -> tuple[Path, str]:
    """Write a selection; return its file, and a text that says how to train, watch and plan it."""
    path = write_selection(grid.tier, name, [*(f"# {remark}" for remark in remarks), *lines])
    said = f"--tier {grid.tier} --select {name}"
    return path, "\n".join(
        [
            f"written to {path}; train these runs, and make tables of them, with",
            f"  make reproduce TIER={grid.tier} SELECT={name}",
            f"  snakemake --profile workflows/profiles/local --config tier={grid.tier} select={name}",
            f"watch them with dmix status {said}; list them with dmix runs {said}",
        ]
    )
