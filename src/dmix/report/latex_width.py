r"""Estimates how wide a table is when LaTeX sets it in \footnotesize of a Times of 10 pt.

An estimate, because tables are split before any LaTeX runs; a test measures that none of the full grid is
wider than the page. `\dmixfit` shrinks what a document with wider type makes too wide.
"""

from __future__ import annotations

from collections.abc import Iterable

from dmix.report.layout import spans
from dmix.report.levels import EQUALS, SYMBOLS
from dmix.report.sheet import Line, Number, Sheet

MANY = 6  # columns, above which they stand closer
# Points of a digit or letter in 8, 7 and 6 pt; capitals and signs are wider, points narrower.
MAIN, SMALL, TINY = 4.0, 3.6, 3.1


def points(sheet: Sheet) -> float:
    """Return the estimated width of a sheet in points, without its outer margins."""
    between = 2 * (2 if len(sheet.columns) > MANY else 4)
    left = [sheet.headings, *(line.titles for line in sheet.lines)]
    titles = sum(MAIN * 1.05 * max(map(len, texts)) for texts in zip(*left, strict=True))
    return titles + between * (len(sheet.headings) - 1 + len(sheet.columns)) + sum(_columns(sheet, between))


def _columns(sheet: Sheet, between: float) -> list[float]:
    """Return the width of each column; a header title that is longer than its columns widens the last."""
    widths = [_column(sheet.lines, index) for index in range(len(sheet.columns))]
    for level in reversed(range(len(sheet.levels))):
        for span in spans(sheet, level):
            there = slice(span.start, span.start + span.width)
            lacking = _title(span.title) - sum(widths[there]) - between * (span.width - 1)
            widths[span.start + span.width - 1] += max(0.0, lacking)
    return widths


def _column(lines: Iterable[Line], index: int) -> float:
    """Return the width of a column: of its widest value, and of the widest text that follows one."""
    numbers = [(line.kind, line.numbers[index]) for line in lines]
    sizes = {"ours": MAIN, "gain": SMALL, "published": SMALL}
    values = (sizes[kind] * (len(number.value) - 0.5 * number.value.count(".")) for kind, number in numbers)
    return max(values, default=0.0) + max((_rest(number) for _, number in numbers), default=0.0)


def _rest(number: Number) -> float:
    spread = TINY * (len(number.spread) + 2.0) if number.spread else 0.0
    return spread + (TINY * 5.5 if number.n else 0.0) + (TINY * 1.4 if number.source else 0.0)


def _title(title: str) -> float:
    symbol, _, value = title.partition(EQUALS)
    # "eta" of "eta = 0.1" is set as one letter.
    letters = len(value) + 4.0 if symbol in SYMBOLS else len(title)
    return MAIN * 1.15 * letters
