"""Draws an overview for a terminal: a bar per table, a line per run under way, failures and why."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dmix.console.overview import Overview
from dmix.console.plain import outcome
from dmix.grid.progress import duration
from dmix.grid.status import RunStatus

UNKNOWN = "-"
RECENT = 10
AROUND_LISTS = 5
"""Lines of a live view around its two lists: titles, headings, and how many more there are."""


def view(found: Overview, height: int | None = None) -> RenderableType:
    """Return the whole picture.

    Parameters
    ----------
    height: lines of the terminal, which a live view must not exceed: of long lists the first lines are shown,
        with the number of others. None: everything is shown.
    """
    parts: list[RenderableType] = [_bars(found), Text(found.hours)]
    parts += [Text(f"{runs} blocked: {way_out}") for way_out, runs in found.blocked.items()]
    if found.since is not None:
        recent = found.recent()
        shown = recent if height is None else recent[-RECENT:]
        parts.append(Text(f"finished since {found.since:%Y-%m-%d %H:%M} UTC: {len(recent)}", style="bold"))
        parts += [Text(f"{name}: {outcome(said)}") for name, said in shown]
    above = len(found.counts) + 1 + len(parts)
    room = None if height is None else max(1, (height - above - AROUND_LISTS) // 2)
    busy = [*found.of("running"), *found.of("hangs")]
    if busy:
        parts.append(_running(busy, room))
        parts.append(Text(f"their curves: dmix curves NAME --tier {found.tier}"))
    parts += _problems(found, room)
    return Group(*parts)


def show(console: Console, found: Overview) -> None:
    """Print the whole picture once."""
    console.print(view(found), soft_wrap=True)


def _bars(found: Overview) -> Table:
    table = Table(title=f"tier {found.tier}", box=None, header_style="bold")
    for heading in ("table", "", *found.shown):
        table.add_column(heading, justify="left" if heading in ("table", "") else "right")
    for name, count in found.counts.items():
        bar = ProgressBar(total=sum(count.values()), completed=count["done"], width=30)
        table.add_row(name, bar, *(str(count[state]) for state in found.shown))
    return table


def _running(runs: list[RunStatus], room: int | None) -> Table:
    table = Table(box=None, header_style="bold", title=f"{len(runs)} running", title_justify="left")
    table.add_column("run", overflow="fold")
    for heading in ("epoch", "top-1 %", "loss", "left", "host", "device"):
        table.add_column(heading, justify="right" if heading in ("epoch", "top-1 %", "loss") else "left")
    for run in runs[:room]:
        table.add_row(run.name, *_cells(run), style="yellow" if run.state == "hangs" else "")
    if room is not None and len(runs) > room:
        table.add_row(f"and {len(runs) - room} more: dmix status --once")
    return table


def _cells(run: RunStatus) -> tuple[str, ...]:
    progress = run.progress
    if progress is None:
        return (run.detail, *[UNKNOWN] * 5)
    left = UNKNOWN if progress.seconds_left is None else duration(progress.seconds_left)
    return (
        progress.where.removeprefix("epoch "),
        UNKNOWN if progress.accuracy is None else f"{progress.accuracy:.2f}",
        UNKNOWN if progress.loss is None else f"{progress.loss:.3f}",
        "hangs" if run.state == "hangs" else left,
        progress.host,
        progress.device or UNKNOWN,
    )


def _problems(found: Overview, room: int | None) -> list[Text]:
    """Return the runs that need somebody to look, each in one line where room is scarce; failed ones last."""
    runs = [*found.of("stopped"), *found.of("damaged"), *found.of("failed")]
    texts = []
    for run in runs if room is None else runs[-room:]:
        told = run.failure if room is None and run.failure is not None else run.detail
        style = "red" if run.state == "failed" else ""
        texts.append(Text(f"{run.state}: {run.name}: {told}", style=style, no_wrap=room is not None))
    if room is not None and len(runs) > room:
        texts.append(Text(f"and {len(runs) - room} more with a problem: dmix status --once"))
    return texts
