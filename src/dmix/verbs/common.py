"""What several commands do: look a run up, and print."""

from __future__ import annotations

import difflib

from dmix.errors import DmixError
from dmix.grid.expand import Grid


def tell(line: str) -> None:
    """Print a line and flush, because the next one may be an hour away."""
    print(line, flush=True)


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
