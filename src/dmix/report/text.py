"""A table as aligned plain text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from dmix.report.caption import Note
from dmix.report.layout import Rule, spans
from dmix.report.panels import panels
from dmix.report.sheet import Line, Number, Sheet

BETWEEN = "   "
RULES: dict[Rule, str] = {"single": "─", "double": "═"}
LEAST_WIDTH = 72
MOST_WIDTH = 120


def to_text(sheet: Sheet) -> str:
    """Return caption, table and notes; the best mean of a column is followed by *.

    A table that is too wide for a terminal is broken into panels, each with the row titles.
    """
    return "\n".join(line.rstrip() for line in _lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    parts = panels(sheet, _total, MOST_WIDTH)
    room = max(LEAST_WIDTH, *map(_total, parts))
    yield from textwrap.wrap(f"Table {sheet.number}. {sheet.caption('marked *')}", room)
    for part in parts:
        yield ""
        yield from _panel(part)
    for note in sheet.notes:
        yield from textwrap.wrap(_noted(note), room, subsequent_indent="  ", break_on_hyphens=False)


def _noted(note: Note) -> str:
    return f"{note.letter}: {note.text}" if note.letter else note.text


def _panel(sheet: Sheet) -> Iterator[str]:
    columns = _columns(sheet)
    widths = _widths(sheet, columns)
    headings, *left = _left(sheet)
    total = _total(sheet)
    yield from _header(sheet, widths, headings)
    yield "─" * total
    for index, (texts, line) in enumerate(zip(left, sheet.lines, strict=True)):
        if line.rule:
            yield RULES[line.rule] * total
        cells = [column[index].ljust(width) for column, width in zip(columns, widths, strict=True)]
        yield BETWEEN.join((texts, *cells))
    yield "─" * total


def _left(sheet: Sheet) -> list[str]:
    """Return the texts on the left padded to one width: the headings, then one for each line."""
    lines = [sheet.headings, *(line.titles for line in sheet.lines)]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    return [
        BETWEEN.join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    ]


def _total(sheet: Sheet) -> int:
    """Return the width of the table in one piece."""
    return len(_left(sheet)[0]) + sum(len(BETWEEN) + width for width in _widths(sheet, _columns(sheet)))


def _header(sheet: Sheet, widths: Sequence[int], headings: str) -> Iterator[str]:
    last = len(sheet.levels) - 1
    nothing = " " * len(headings)
    for level in range(len(sheet.levels)):
        titles, lines = [], []
        for span in spans(sheet, level):
            width = _span_width(widths, span.start, span.width)
            titles.append(span.title.center(width) if level < last else span.title.ljust(width))
            lines.append("─" * width)
        yield BETWEEN.join((headings if level == last else nothing, *titles))
        if level < last:
            yield BETWEEN.join((nothing, *lines))


def _widths(sheet: Sheet, columns: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column.

    Where a header title is longer than its columns, the last of them is widened; inner header lines first.
    """
    widths = [max(map(len, column), default=0) for column in columns]
    for level in reversed(range(len(sheet.levels))):
        for span in spans(sheet, level):
            lacking = len(span.title) - _span_width(widths, span.start, span.width)
            widths[span.start + span.width - 1] += max(0, lacking)
    return widths


def _span_width(widths: Sequence[int], start: int, width: int) -> int:
    return sum(widths[start : start + width]) + len(BETWEEN) * (width - 1)


def _columns(sheet: Sheet) -> list[list[str]]:
    return [_column(sheet.lines, index) for index in range(len(sheet.columns))]


def _column(lines: Sequence[Line], index: int) -> list[str]:
    """Return the cells of one column as texts in which value, spread, and n or source are aligned."""
    parts = [_parts(line.numbers[index]) for line in lines]
    widths = [max((len(part) for part in kind), default=0) for kind in zip(*parts, strict=True)]
    return [
        " ".join(
            # Values are aligned at their decimals, all that follows at its start.
            part.rjust(width) if position == 0 else part.ljust(width)
            for position, (part, width) in enumerate(zip(row, widths, strict=True))
            if width
        )
        for row in parts
    ]


def _parts(number: Number) -> tuple[str, str, str]:
    return (
        number.value and number.value + ("*" if number.best else " "),
        f"± {number.spread}" if number.spread else number.source,
        f"[n={number.n}]" if number.n else number.source if number.spread else "",
    )
