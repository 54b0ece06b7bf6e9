"""Header and rules of a table, before any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal, Protocol

from dmix.report.columns import Column
from dmix.report.levels import heading
from dmix.report.rows import Row
from dmix.report.table import TableData

LOSSES = "Losses"
Rule = Literal["", "single", "double"]


class Columned(Protocol):
    """Whatever has the columns of a table."""

    @property
    def columns(self) -> Sequence[Column]:
        """From left to right."""


@dataclass(frozen=True)
class Span:
    """A title over the columns `start` to `start + width - 1`, counted from 0."""

    title: str
    start: int
    width: int


def left_headings(data: TableData) -> tuple[str, ...]:
    """Return the headings above `left_texts`."""
    return (heading(data.rows_by), *((LOSSES,) if data.losses else ()))


def left_texts(data: TableData, row: Row) -> tuple[str, ...]:
    """Return the texts on the left of a row: its title and, where the table shows them, its loss terms."""
    return (row.title, *((row.losses,) if data.losses else ()))


def spans(data: Columned, level: int) -> tuple[Span, ...]:
    """Return the titles of one header line; neighbours of equal keys, also in lines above, share one."""
    found: list[Span] = []
    start = 0
    for _, group in groupby(data.columns, key=lambda column: column.keys[: level + 1]):
        columns = list(group)
        found.append(Span(columns[0].titles[level], start, len(columns)))
        start += len(columns)
    return tuple(found)


def rules(data: TableData) -> tuple[Rule, ...]:
    """Return the rule above each row, "" for none.

    A double rule separates static from dynamic policies, a single one other kinds of policies, two methods,
    and rows without a setting from those with it.
    """
    between: dict[tuple[str, str], Rule] = {("static", "dynamic"): "double"}
    above: list[Rule] = [""] if data.rows else []
    for upper, lower in pairwise(data.rows):
        changes = (upper.kind, upper.group) != (lower.kind, lower.group)
        above.append(between.get((upper.kind, lower.kind), "single") if changes else "")
    return tuple(above)


def column_labels(data: TableData, last: int | None = None) -> tuple[str, ...]:
    """Return one short name for each column, of the header lines up to `last` in which columns differ."""
    levels = range(len(data.levels) if last is None else last + 1)
    varying = [level for level in levels if len({column.keys[level] for column in data.columns}) > 1]
    return tuple(" ".join(column.titles[level] for level in varying) for column in data.columns)
