"""A table as aligned plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from dmix.report.caption import caption, notes
from dmix.report.cells import TableCell
from dmix.report.layout import Rule, left_headings, left_texts, rules, spans
from dmix.report.numbers import GAP, fixed, signed
from dmix.report.panels import panels
from dmix.report.table import TableData

BETWEEN = "   "
RULES: dict[Rule, str] = {"single": "─", "double": "═"}
LEAST_WIDTH = 72
MOST_WIDTH = 120


def to_text(data: TableData) -> str:
    """Return caption, table and notes; the best mean of a column is followed by *.

    A table that is too wide for a terminal is continued below itself, with the row titles again.
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
    """Return what stands on the left, the headings first and then row by row, all of one width."""
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

    The last one under a title that is longer than its columns is widened; inner levels first.
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
    """Return one column with each part of its cells below the same part of the others."""
    parts = [_parts(cell) for cell in cells]
    widths = [max((len(part) for part in kind), default=0) for kind in zip(*parts, strict=True)]
    return [
        " ".join(
            # The mean ends at its decimals; everything after it starts at one place.
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
        "" if cell.gain is None else f"({signed(cell.gain)})",
        f"[n={cell.n}]" if cell.state == "partial" else "",
    )
