"""Keeps an overview on the terminal up to date while runs are in progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live

from dmix.console.overview import Overview
from dmix.console.view import show, view

SECONDS = 2.0
SHARE = 0.1
"""Most of the time that is spent looking, which takes long where files are slow or runs many."""


def watch(
    look: Callable[[], Overview], console: Console, sleep: Callable[[float], None] = time.sleep
) -> Overview:
    """Show what `look` returns again and again until nothing is running, or Ctrl-C; return the last of it."""
    start = time.monotonic()
    found = look()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while found.of("running") or found.of("hangs"):
                live.update(view(found, console.height), refresh=True)
                sleep(max(SECONDS, (time.monotonic() - start) * (1 / SHARE - 1)))
                start = time.monotonic()
                found = look()
    except KeyboardInterrupt:
        pass  # the way to end it; the last picture stays
    show(console, found)
    return found
