"""A table as aligned plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from dmix.report.caption import caption, notes
from dmix.report.cells import TableCell
from dmix.report.layout import Rule, Span, left_headings, left_texts, rules, spans
from dmix.report.numbers import GAP, fixed, signed
from dmix.report.table import TableData

BETWEEN = "   "
RULES: dict[Rule, str] = {"single": "─", "double": "═"}
LEAST_WIDTH = 72
MOST_WIDTH = 120


def to_text(data: TableData) -> str:
    """Return caption, table and notes; the best mean of a column is followed by *.

    A table that is too wide for a terminal is broken into panels, each with the row titles.
    """
    return "\n".join(line.rstrip() for line in _lines(data)) + "\n"


def _lines(data: TableData) -> Iterator[str]:
    parts = panels(data, _total, MOST_WIDTH)
    room = max(LEAST_WIDTH, *map(_total, parts))
    yield from textwrap.wrap(f"Table {data.number}. {caption(data, 'marked *')}", room)
    for part in parts:
        yield ""
        yield from _panel(part)
    for line in notes(data):
        yield from textwrap.wrap(line, room, subsequent_indent="  ", break_on_hyphens=False)


def panels(data: TableData, width: Callable[[TableData], int], room: int) -> tuple[TableData, ...]:
    """Split the columns of `data` into tables no wider than `room`, each with all rows.

    They are split between titles of the outermost header line whose columns fit, into as few tables as
    possible. Where not even single columns fit, each has a table of its own.
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


def _panel(data: TableData) -> Iterator[str]:
    columns = _columns(data)
    widths = _widths(data, columns)
    headings, *left = _left(data)
    total = _total(data)
    yield from _header(data, widths, headings)
    yield "─" * total
    for index, (texts, rule) in enumerate(zip(left, rules(data), strict=True)):
        if rule:
            yield RULES[rule] * total
        cells = [column[index].ljust(width) for column, width in zip(columns, widths, strict=True)]
        yield BETWEEN.join((texts, *cells))
    yield "─" * total


def _left(data: TableData) -> list[str]:
    """Return the texts on the left padded to one width: the headings, then one for each row."""
    lines = [left_headings(data), *(left_texts(data, row) for row in data.rows)]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    return [
        BETWEEN.join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    ]


def _total(data: TableData) -> int:
    """Return the width of the table in one piece."""
    return len(_left(data)[0]) + sum(len(BETWEEN) + width for width in _widths(data, _columns(data)))


def _header(data: TableData, widths: Sequence[int], headings: str) -> Iterator[str]:
    last = len(data.levels) - 1
    nothing = " " * len(headings)
    for level in range(len(data.levels)):
        titles, lines = [], []
        for span in spans(data, level):
            width = _span_width(widths, span.start, span.width)
            titles.append(span.title.center(width) if level < last else span.title.ljust(width))
            lines.append("─" * width)
        yield BETWEEN.join((headings if level == last else nothing, *titles))
        if level < last:
            yield BETWEEN.join((nothing, *lines))


def _widths(data: TableData, columns: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column.

    Where a header title is longer than its columns, the last of them is widened; inner header lines first.
    """
    widths = [max(map(len, column), default=0) for column in columns]
    for level in reversed(range(len(data.levels))):
        for span in spans(data, level):
            lacking = len(span.title) - _span_width(widths, span.start, span.width)
            widths[span.start + span.width - 1] += max(0, lacking)
    return widths


def _span_width(widths: Sequence[int], start: int, width: int) -> int:
    return sum(widths[start : start + width]) + len(BETWEEN) * (width - 1)


def _columns(data: TableData) -> list[list[str]]:
    return [_column([row[index] for row in data.cells]) for index in range(len(data.columns))]


def _column(cells: Sequence[TableCell]) -> list[str]:
    """Return the cells of one column as texts in which mean, spread, gain and n are aligned."""
    parts = [_parts(cell) for cell in cells]
    widths = [max((len(part) for part in kind), default=0) for kind in zip(*parts, strict=True)]
    return [
        " ".join(
            # Means are aligned at their decimals, all that follows at its start.
            part.rjust(width) if position == 0 else part.ljust(width)
            for position, (part, width) in enumerate(zip(row, widths, strict=True))
            if width
        )
        for row in parts
    ]


def _parts(cell: TableCell) -> tuple[str, str, str, str]:
    if cell.mean is None:
        return f"{GAP} ", "", "", ""
    return (
        fixed(cell.mean) + ("*" if cell.best else " "),
        "" if cell.std is None else f"± {fixed(cell.std)}",
        "" if cell.gain is None else f"({signed(cell.gain.mean)})",
        f"[n={cell.n}]" if cell.state == "partial" else "",
    )
