"""Formats the history of a run as CSV, and finds the accuracy in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from dmix.engine.trainer import Row

ACCURACY = "top1_"
"""Columns whose names begin so are top-1 accuracies in percent, one for each prediction of the method."""


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
    """Return the columns of accuracies; the first is that of the primary prediction, which tables report."""
    return [name for name in columns(rows) if name.startswith(ACCURACY)]


def last_accuracy(rows: Sequence[Row]) -> float | None:
    """Return the primary prediction's top-1 accuracy in percent when it was last evaluated, if it was."""
    primary = next(iter(accuracies(rows)), None)
    return next((float(row[primary]) for row in reversed(rows) if primary in row), None) if primary else None
