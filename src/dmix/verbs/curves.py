"""`dmix curves`: draws the learning curves of runs, finished or in progress."""

from __future__ import annotations

import argparse

from dmix.errors import DmixError
from dmix.grid.expand import Grid, load_grid
from dmix.grid.history import read_history
from dmix.grid.progress import duration
from dmix.grid.select import select
from dmix.grid.status import run_status


def run(options: argparse.Namespace) -> int:
    """Draw curves on the terminal, or to a file."""
    grid = load_grid(options.tier, thorough=False)
    names = select(grid, options.names)
    histories = [found for name in names if (found := read_history(grid, name)) and found.rows]
    if not histories:
        which = names[0] if len(names) == 1 else f"none of the {len(names)} runs that are named"
        raise DmixError(
            f"there is no curve yet: {which} has {'no' if len(names) == 1 else 'a'} history",
            "a run has one from its first epoch or evaluation on; see dmix status, or dmix train NAME",
        )
    from dmix.curves.curve import chart

    notes = {found.name: _note(grid, found.name) for found in histories if not found.finished}
    drawn = chart(histories, options.metric, notes)
    if options.out:
        from dmix.curves.picture import save

        save(drawn, options.out)
        print(options.out)
    else:
        from rich.console import Console

        from dmix.curves.terminal import draw

        console = Console()
        for line in draw(drawn, console.width):
            console.print(line, soft_wrap=True)
    if missing := len(names) - len(drawn.curves):
        print(f"without a curve so far: {missing} of {len(names)} runs")
    return 0


def _note(grid: Grid, name: str) -> str:
    """Return what is to be said of a run that has not finished."""
    status = run_status(grid, name)
    progress = status.progress
    if status.state in ("missing", "stopped"):
        return "interrupted"
    if progress is None or progress.seconds_left is None:
        return status.state
    return f"{status.state}, {duration(progress.seconds_left)} left"
