"""Turns the history of a run into curves, and thins it for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmix.grid.history import ACCURACY, Row, columns
from dmix.page.packing import Column, decimals_for, pack

MOST_ROWS = 100
LAST_ROWS = 10
ACCURACY_DECIMALS = 2
DERIVED = ("epoch", "step", "lr")
"""Columns of history.csv that are no curves: the places, and what the schedule says already."""


@dataclass(frozen=True)
class Curves:
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


def curves_of(rows: Sequence[Row]) -> Curves | None:
    """Return the rows of a history column by column, or None where there is no row yet."""
    if not rows:
        return None
    unit = "epoch" if "epoch" in rows[0] else "step"
    names = [name for name in columns(rows) if name not in DERIVED]
    return Curves(
        unit,
        tuple(int(row[unit]) for row in rows),
        {name: tuple(_finite(row.get(name)) for row in rows) for name in names},
    )


def thin(history: Curves, primary: str) -> Packed:
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


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
