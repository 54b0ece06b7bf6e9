"""Prints the run status of a tier: progress bars on a terminal, else plain lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table

from dmix.grid.status import STATES, RunStatus


def print_status(
    tier: str, by_table: Mapping[str, Sequence[RunStatus]], everything: Iterable[RunStatus]
) -> None:
    """Print the number of runs per table and state, commands that unblock runs, and unfinished runs.

    Parameters
    ----------
    everything: runs and class relations, each once; the failed ones are listed last, with reason and log.
    """
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
    everything = list(everything)
    for way_out, runs in Counter(s.detail for s in everything if s.state == "blocked").items():
        console.print(f"{runs} blocked: {way_out}", markup=False, soft_wrap=True)
    for state in ("running", "hangs", "stopped", "damaged", "failed"):
        here = [each for each in everything if each.state == state]
        for run in here:
            told = run.failure if state == "failed" else run.detail
            console.print(f"{state}: {run.name}: {told}", markup=False, soft_wrap=True)
        if here and state == "running":
            console.print(f"their curves: dmix curves NAME --tier {tier}", markup=False, soft_wrap=True)
