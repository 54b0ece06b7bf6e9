"""Prints the run status of a tier: progress bars on a terminal, else plain lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from dmix.grid.status import STATES, RunStatus


def print_status(tier: str, by_table: Mapping[str, Sequence[RunStatus]]) -> None:
    """Print the number of runs per table and state, commands that unblock runs, and unfinished runs."""
    console = Console()
    counts = {table: Counter(s.state for s in here) for table, here in by_table.items()}
    shown = [state for state in STATES if any(count[state] for count in counts.values())]
    if console.is_terminal:
        view = Table(title=f"tier {tier}", box=None, header_style="bold")
        for heading in ("table", "", *shown):
            view.add_column(heading)
        for table, count in counts.items():
            bar = ProgressBar(total=sum(count.values()), completed=count["done"], width=30)
            view.add_row(table, bar, *(str(count[state]) for state in shown))
        console.print(view)
    else:
        for table, count in counts.items():
            parts = ", ".join(f"{count[state]} {state}" for state in shown)
            print(f"{tier} {table}: {parts} of {sum(count.values())}")
    everything = {s.name: s for here in by_table.values() for s in here}
    for way_out, runs in Counter(s.detail for s in everything.values() if s.state == "blocked").items():
        console.print(f"{runs} blocked: {way_out}", markup=False, soft_wrap=True)
    for run in everything.values():
        if run.state in ("running", "failed", "stopped"):
            console.print(f"{run.state}: {run.name}: {run.detail}", markup=False, soft_wrap=True)
