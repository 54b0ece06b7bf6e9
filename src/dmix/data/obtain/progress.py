"""Progress of long operations: a bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS = 15.0  # between two plain lines
Advance = Callable[[int], None]
Unit = Literal["MB", "images"]


@contextmanager
def progress(what: str, unit: Unit, total: int | None, done: int = 0) -> Iterator[Advance]:
    """Show progress on stderr while the block runs; yield a function that takes each amount added.

    Parameters
    ----------
    total, done: in bytes where the unit is "MB"; `total` is None where it is not known.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what, unit, total, done)
        return
    amount = DownloadColumn() if unit == "MB" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=console) as view:
        task = view.add_task(what, total=total, completed=done)
        yield lambda more: view.advance(task, more)


def _lines(what: str, unit: Unit, total: int | None, done: int) -> Advance:
    size, digits = (1_000_000, 1) if unit == "MB" else (1, 0)
    last = time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, last
        done += more
        now = time.monotonic()
        if now - last < SECONDS:
            return
        last = now
        of = f" of {total / size:,.{digits}f} ({100 * done // total} %)" if total else ""
        print(f"{what}: {done / size:,.{digits}f}{of} {unit}", file=sys.stderr, flush=True)

    return advance
