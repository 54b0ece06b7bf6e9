"""The history of a run: a row for each epoch or evaluation, while it trains and when it is done."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.paths import RunPaths
from dmix.reading import read_text

ACCURACY = "top1_"
"""Columns whose names begin so are top-1 accuracies in percent, one for each prediction of the method."""

Row = Mapping[str, float | int]


@dataclass(frozen=True)
class History:
    """The history of one run, finished or in progress.

    `rows` lack the columns that were empty, as accuracies where the test split was not evaluated.
    """

    name: str
    rows: tuple[Row, ...]
    finished: bool


def read_history(grid: Grid, name: str) -> History | None:
    """Return the history of a run: of its results if it is finished, else as far as it is, or None.

    Raises
    ------
    DmixError: the file is damaged.
    """
    place = grid.places.get(name)
    if place is None:
        return None
    paths = RunPaths(grid.tier, place)
    if paths.record.exists() and paths.history.exists():
        return History(name, read_rows(paths.history), True)
    if paths.live_history.exists():
        return History(name, read_rows(paths.live_history), False)
    return None


def read_rows(path: Path) -> tuple[Row, ...]:
    """Return the rows of a history.csv.

    Raises
    ------
    DmixError: it cannot be read, a row has another number of fields, or one is no number.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    header = next(reader, [])
    found = []
    for row in reader:
        try:
            found.append({key: float(text) for key, text in zip(header, row, strict=True) if text})
        except ValueError as error:
            raise DmixError(f"{path}:{reader.line_num}: not a row of a history: {error}") from error
    return tuple(found)


def history_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV. A column that comes late is empty in the rows before."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def columns(rows: Iterable[Row]) -> list[str]:
    """Return the names of all columns, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row))


def accuracies(rows: Iterable[Row]) -> list[str]:
    """Return the columns of accuracies; the first is the primary prediction's, which tables report."""
    return [name for name in columns(rows) if name.startswith(ACCURACY)]


def last_accuracy(rows: Sequence[Row]) -> float | None:
    """Return the primary prediction's top-1 accuracy in percent when it was last evaluated, if it was."""
    primary = next(iter(accuracies(rows)), None)
    return next((float(row[primary]) for row in reversed(rows) if primary in row), None) if primary else None
