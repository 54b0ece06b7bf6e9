"""What several commands do: look a run up, and print."""

from __future__ import annotations

import argparse
import difflib
import functools
from collections.abc import Callable

from dmix.errors import DmixError
from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import RunPaths
from dmix.grid.promise import check
from dmix.job.recorded import recorded
from dmix.job.run_files import RunFiles, files_at, files_of, is_place
from dmix.job.versions import noted


def tell(line: str) -> None:
    """Print a line and flush, because the next one may be an hour away."""
    print(line, flush=True)


def recording(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Decorate the command of a job so that the reason of any exception is written to its folder."""

    @functools.wraps(run)
    def run_and_record(options: argparse.Namespace) -> int:
        with recorded(options):
            return run(options)

    return run_and_record


def grid_of_job(options: argparse.Namespace) -> Grid:
    """Return the grid of a job on one run, after checking its promise, its name and what the run needs.

    Also notes commit and versions, which a record states as they were at the start of its process.
    """
    grid = load_grid(options.tier, thorough=not options.promise)
    if options.promise:
        check(grid, options.name, options.promise)
    known_run(grid, options.name)
    ready_run(grid, options.name)
    noted()
    return grid


def finished_files(tier: str, given: str) -> RunFiles:
    """Return the files of a finished run, by its name at a tier, or by a file or folder anywhere.

    The latter needs no parameter files.

    Raises
    ------
    DmixError: there is no such run, file or folder, or the run is not finished.
    """
    if is_place(given):
        return files_at(given)
    grid = load_grid(tier, thorough=False)
    known_run(grid, given)
    ready_run(grid, given)
    paths = RunPaths(grid.tier, grid.folders[given])
    if not paths.record.exists():
        raise DmixError(
            f"{given} is not finished: it has no record {paths.record}",
            f"run: dmix train {given} --tier {tier}",
            exit_code=1,
        )
    return files_of(paths, given)


def known_run(grid: Grid, name: str) -> None:
    """Refuse a name that is no run of the tier; the message has the nearest one."""
    if name not in grid.runs:
        near = difflib.get_close_matches(name, grid.runs, n=1)
        hint = f"did you mean {near[0]}?" if near else "list the runs with: dmix status --json"
        raise DmixError(f"there is no run named {name!r} at tier {grid.tier}", hint)


def ready_run(grid: Grid, name: str) -> None:
    """Refuse a run whose parts, data or weights are not on this machine."""
    if absent := grid.missing(name):
        raise DmixError(f"{name} is not yet implemented: it needs {', '.join(absent)}")
    if way_out := grid.blocked(name):
        raise DmixError(f"{name} is blocked: what it needs is not on this machine", way_out)
