"""Splits a table that is too wide into parts that stand below each other."""

from __future__ import annotations

from collections.abc import Callable

from dmix.report.layout import spans
from dmix.report.sheet import Sheet


def panels(sheet: Sheet, width: Callable[[Sheet], float], room: float) -> tuple[Sheet, ...]:
    """Split the columns of a sheet into parts no wider than `room`, each with the titles on the left.

    They are split between titles of the outermost header line whose columns fit, into as few parts as
    possible. Where not even single columns fit, each has a part of its own.
    """
    if not sheet.columns:
        return (sheet,)

    def fits(start: int, columns: int) -> bool:
        return width(sheet.part(start, columns)) <= room

    by_level = [spans(sheet, level) for level in range(len(sheet.levels))]
    fitting = (pieces for pieces in by_level if all(fits(piece.start, piece.width) for piece in pieces))
    found: list[tuple[int, int]] = []
    for piece in next(fitting, by_level[-1]):
        start, columns = found[-1] if found else (0, 0)
        if found and fits(start, columns + piece.width):
            found[-1] = (start, columns + piece.width)
        else:
            found.append((piece.start, piece.width))
    return tuple(sheet.part(start, columns) for start, columns in found)
