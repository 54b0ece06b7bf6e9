"""Reads the history of a run, finished or in progress, and thins it for the page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.page.packing import Column, decimals_for, pack
from dmix.reading import read_text

MOST_ROWS = 100
LAST_ROWS = 10
ACCURACY = "top1_"
ACCURACY_DECIMALS = 2
DERIVED = ("epoch", "step", "lr")
"""Columns of history.csv that are no curves: the places, and what the schedule says already."""


@dataclass(frozen=True)
class History:
    """The curves of one run.

    Attributes
    ----------
    unit: what `at` counts, "epoch" or "step". at: place of each row, rising.
    columns: name -> value of each row; None where the run has none, or none that is finite.
    """

    unit: str
    at: tuple[int, ...]
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Packed:
    """A thinned history, packed.

    `at` are the places that runs of one length share; `best` is the place of the best evaluation, if that is
    not among them. `text` holds the rows of both, in the order of their places.
    """

    unit: str
    at: tuple[int, ...]
    best: int | None
    columns: tuple[str, ...]
    text: str


def read_history(path: Path) -> History | None:
    """Return the history in a file, or None where there is no file or no whole row yet.

    A last line without its end, of a run that is being trained, is left out.

    Raises
    ------
    DmixError: a number is none, or the file cannot be read.
    """
    if not path.exists():
        return None
    whole, _, _ = read_text(path).rpartition("\n")
    rows = list(csv.DictReader(io.StringIO(whole)))
    if not rows:
        return None
    unit = "epoch" if "epoch" in rows[0] else "step"
    try:
        at = tuple(int(row[unit]) for row in rows)
        columns = {name: tuple(_number(row[name]) for row in rows) for name in rows[0] if name not in DERIVED}
    except (KeyError, TypeError, ValueError) as error:
        raise DmixError(f"{path} is not a history: {error}", "delete it; the next run writes it") from error
    return History(unit, at, columns)


def thin(history: History, primary: str) -> Packed:
    """Return at most `MOST_ROWS` rows: the first, the best, the last ten, and others at even distances.

    Of a longer history, rows with the accuracy `primary` go before those without.
    """
    accuracy = history.columns.get(primary, ())
    shared = _shared(len(history.at), [row for row, value in enumerate(accuracy) if value is not None])
    kept = sorted({*shared, *_best(accuracy)})
    extra = [history.at[row] for row in kept if row not in shared]
    return Packed(
        unit=history.unit,
        at=tuple(history.at[row] for row in sorted(shared)),
        best=extra[0] if extra else None,
        columns=tuple(history.columns),
        text=pack(_rounded(name, [column[row] for row in kept]) for name, column in history.columns.items()),
    )


def _shared(count: int, evaluated: Sequence[int]) -> set[int]:
    """Return the rows that are kept of a history of `count` rows, whatever its best one is."""
    if count <= MOST_ROWS:
        return set(range(count))
    last = range(count - LAST_ROWS, count)
    before = sorted({0, *(evaluated or range(count))} - set(last))
    most = MOST_ROWS - LAST_ROWS - 1  # one is left for the best
    even = (round(index * (len(before) - 1) / (most - 1)) for index in range(most))
    return {*last, *(before if len(before) <= most else (before[index] for index in even))}


def _best(column: Column) -> list[int]:
    values = [(value, -row) for row, value in enumerate(column) if value is not None]
    return [-max(values)[1]] if values else []


def _rounded(name: str, column: Sequence[float | None]) -> tuple[Column, int]:
    return column, ACCURACY_DECIMALS if name.startswith(ACCURACY) else decimals_for(column)


def _number(text: str | None) -> float | None:
    """Return a number, or None for an empty field, NaN and the infinities."""
    if text is None:
        raise ValueError("a row is too short")
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None
