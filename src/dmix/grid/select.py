"""Selects runs by name: one run, all below a part of a name, or by a pattern."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from dmix.errors import DmixError
from dmix.grid.expand import Grid


def select(grid: Grid, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return the runs that `wanted` names, each once, in the order of the grids.

    Parameters
    ----------
    wanted: names of runs, or beginnings of names that end before a slash, such as a cell, for all its seeds.
        Either may be a pattern with `*`, `?` and `[...]`, in which `*` matches slashes too.

    Raises
    ------
    DmixError: one of them names no run of the tier.
    """
    found: set[str] = set()
    for text in wanted:
        start = text.rstrip("/")
        here = {name for name in grid.runs if fnmatchcase(name, start) or fnmatchcase(name, f"{start}/*")}
        if not here:
            known = {*grid.runs, *(spec.cell for spec in grid.runs.values())}
            near = difflib.get_close_matches(text, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "list the runs with: dmix status --json"
            raise DmixError(f"no run of tier {grid.tier} is named by {text!r}", hint)
        found |= here
    return tuple(name for name in grid.runs if name in found)
