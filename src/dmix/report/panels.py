"""A wide table in several narrower ones, which stand below each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dmix.report.layout import Span, spans
from dmix.report.table import TableData


def panels(data: TableData, width: Callable[[TableData], int], room: int) -> tuple[TableData, ...]:
    """Return parts of `data`, each with all rows and no wider than `room` where that can be.

    It is broken between titles of the outermost header level whose columns fit, and as rarely as possible.
    """
    if not data.columns:
        return (data,)
    by_level = [spans(data, level) for level in range(len(data.levels))]
    fitting = (pieces for pieces in by_level if all(width(_part(data, piece)) <= room for piece in pieces))
    first, *others = next(fitting, by_level[-1])
    found = [first]
    for piece in others:
        joined = replace(found[-1], width=found[-1].width + piece.width)
        if width(_part(data, joined)) <= room:
            found[-1] = joined
        else:
            found.append(piece)
    return tuple(_part(data, piece) for piece in found)


def _part(data: TableData, span: Span) -> TableData:
    there = slice(span.start, span.start + span.width)
    return replace(data, columns=data.columns[there], cells=tuple(row[there] for row in data.cells))
