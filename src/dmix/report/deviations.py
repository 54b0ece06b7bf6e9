"""What is done otherwise than the paper prints, and which of it concerns a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dmix.errors import DmixError
from dmix.report.frame import UNIMPLEMENTED

HEADER = ("id", "scope", "paper", "ours", "reason", "where")
KEYS = ("dataset", "backbone", "policy", "objective", "method")


@dataclass(frozen=True)
class Deviation:
    """One line of reference/deviations.csv; `scope` is "all", "key=value" or "key=value|value"."""

    id: str
    scope: str
    paper: str
    ours: str
    reason: str
    where: str

    def concerns(self, run: Mapping[str, str]) -> bool:
        """Return whether the run with these axes is in scope."""
        key, _, value = self.scope.partition("=")
        return self.scope == "all" or run[key] in value.split("|")


def read_deviations(path: Path) -> tuple[Deviation, ...]:
    """Read the deviations.

    Raises
    ------
    DmixError: the file is missing, has another header, an id twice or a scope that is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [tuple(row) for row in csv.reader(stream)]
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror}") from error
    if not rows or rows[0] != HEADER:
        raise DmixError(f"{path}: the first line must be {','.join(HEADER)}")
    found: dict[str, Deviation] = {}
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(HEADER):
            raise DmixError(f"{path}: deviation {number} has {len(row)} fields, expected {len(HEADER)}")
        deviation = Deviation(*row)
        key, equals, value = deviation.scope.partition("=")
        if deviation.scope != "all" and not (key in KEYS and equals and value):
            raise DmixError(
                f"{path}: {deviation.id}: {deviation.scope!r} is no scope",
                f"write all, or key=value|value with a key of {', '.join(KEYS)}",
            )
        if deviation.id in found:
            raise DmixError(f"{path}: the id {deviation.id} is given twice")
        found[deviation.id] = deviation
    return tuple(found.values())


def concerning(deviations: Iterable[Deviation], frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the ids of the deviations that concern an implemented run of `frame`, in the file's order."""
    there = frame[frame["state"] != UNIMPLEMENTED]
    runs = there[list(KEYS)].drop_duplicates().to_dict("records")
    axes = [{str(key): str(value) for key, value in run.items()} for run in runs]
    return tuple(item.id for item in deviations if any(item.concerns(run) for run in axes))
