"""The deviations from the paper that are listed in reference/deviations.csv, and which concern a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.reading import read_csv
from dmix.report.frame import UNIMPLEMENTED

HEADER = ("id", "scope", "paper", "ours", "reason", "where", "short")
ALL = "all"
AND = " & "
CLAUSE = re.compile(r"(\w+)=([\w-]+(?:\|[\w-]+)*)")
# Key -> entries. A run is in scope if it has one of the entries of every key.
Scope = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Deviation:
    """One line of reference/deviations.csv.

    Attributes
    ----------
    short: a line for below the tables that it concerns, of one that sets few tables apart; else "".
    """

    id: str
    scope: Scope
    paper: str
    ours: str
    reason: str
    where: str
    short: str


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Read the deviations.

    Raises
    ------
    DmixError: the file is missing, has another header, an id twice or a scope that is none.
    """
    found: dict[str, Deviation] = {}
    for where, row in read_csv(path, HEADER):
        name, scope, *words = row.values()
        if not name or name in found:
            raise DmixError(f"{where}: the id {name} is given twice" if name else f"{where}: there is no id")
        try:
            found[name] = Deviation(name, parse_scope(scope), *words)
        except DmixError as error:
            raise DmixError(f"{where}: {name}: {error.message}", error.way_out) from error
    return tuple(found.values())


def concerning(deviations: Iterable[Deviation], frame: pd.DataFrame) -> tuple[Deviation, ...]:
    """Return the deviations that concern an implemented run of `frame`, in the file's order."""
    there = frame[frame["state"] != UNIMPLEMENTED]
    runs = there[list(AXIS)].drop_duplicates().to_dict("records")
    axes = [{str(key): str(value) for key, value in run.items()} for run in runs]
    return tuple(item for item in deviations if any(in_scope(item.scope, run) for run in axes))


def parse_scope(text: str) -> Scope:
    """Return the scope that is written "all", or "key=value|value & key=value".

    Raises
    ------
    DmixError: the text is neither, or a key is unknown or stands twice.
    """
    if text == ALL:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for clause in text.split(AND):
        parts = CLAUSE.fullmatch(clause)
        if parts is None or parts[1] not in AXIS or parts[1] in found:
            raise DmixError(
                f"{text!r} is no scope",
                f"write {ALL}, or key=value|value with a key of {', '.join(AXIS)}; join several by '{AND}'",
            )
        found[parts[1]] = tuple(parts[2].split("|"))
    return found


def in_scope(scope: Scope, run: Mapping[str, str]) -> bool:
    """Return whether a run, given by its axes and its recipe, is in scope."""
    return all(run[key] in entries for key, entries in scope.items())
