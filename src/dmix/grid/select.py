"""Selects runs by name: one run, all below a part of a name, by a pattern, or those of a named selection."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.grid.expand import Grid
from dmix.grid.paths import RESULTS
from dmix.grid.schema import NAME
from dmix.reading import read_text


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
            hint = f"did you mean {near[0]}?" if near else f"list them with: dmix runs --tier {grid.tier}"
            raise DmixError(f"no run of tier {grid.tier} is named by {text!r}", hint)
        found |= here
    return tuple(name for name in grid.runs if name in found)


def selection_path(tier: str, name: str) -> Path:
    """Return the file of a named selection, one name of runs a line; # begins a comment.

    Raises
    ------
    DmixError: the name cannot be a part of a file's.
    """
    if not NAME.fullmatch(name):
        raise DmixError(
            f"{name!r} cannot name a selection, a part of file names",
            "write letters, digits, _, + and -, at most 64, a letter or digit first",
        )
    return RESULTS / tier / "selections" / f"{name}.txt"


def write_selection(tier: str, name: str, lines: Iterable[str]) -> Path:
    """Write a named selection, in place of an earlier one of that name, and return its file."""
    path = selection_path(tier, name)
    write_text(path, "".join(f"{line}\n" for line in lines))
    return path


def selected(grid: Grid, name: str) -> tuple[str, ...]:
    """Return the runs of a named selection and those that they start from, in the order of the grids.

    Raises
    ------
    DmixError: there is no such selection, or one of its lines names no run of the tier.
    """
    path = selection_path(grid.tier, name)
    there = sorted(other.stem for other in path.parent.glob("*.txt"))
    known = (
        f"choose of {', '.join(there)}" if there else "write one with: dmix plan --tables TABLE --save NAME"
    )
    text = read_text(path, known)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return with_sources(grid, select(grid, [line for line in lines if line]))


def with_sources(grid: Grid, names: Iterable[str]) -> tuple[str, ...]:
    """Return the runs and those from whose weights they start, in the order of the grids."""
    wanted = set(names)
    wanted |= {source.name for name in wanted if (source := grid.runs[name].source) is not None}
    return tuple(name for name in grid.runs if name in wanted)
