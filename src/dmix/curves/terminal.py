"""Draws curves on a terminal, with the dots of Braille characters: two columns and four rows in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from string import ascii_uppercase

from rich.text import Text

from dmix.curves.curve import Chart, Curve
from dmix.errors import DmixError

LETTERS = ascii_uppercase
COLORS = ("bright_blue", "bright_red", "green", "magenta", "cyan", "yellow", "blue", "red")
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # by column and row, from the top
BLANK = 0x2800
ROWS = 16
LABEL = 9


class Canvas:
    """A field of characters, in which lines of dots and letters are drawn."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._dots = [[0] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]
        self._letters: dict[tuple[int, int], str] = {}

    def line(self, start: tuple[int, int], end: tuple[int, int], style: str) -> None:
        """Draw a straight line between two dots, given as (column, row) from the upper left."""
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            x, y = round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
            self._dots[y // 4][x // 2] |= DOTS[x % 2][y % 4]
            self._styles[y // 4][x // 2] = style

    def letter(self, x: int, y: int, letter: str, style: str) -> None:
        """Write a letter right of a dot, in the nearest row in which that place is free, rather below."""
        column, row = min(x // 2 + 1, self.columns - 1), y // 4
        free = [other for other in range(self.rows) if (other, column) not in self._letters]
        nearest = min(free, key=lambda other: (abs(other - row), -other), default=row)
        self._letters[nearest, column] = letter
        self._styles[nearest][column] = style

    def lines(self) -> Iterator[Text]:
        """Yield the rows."""
        for row, dots in enumerate(self._dots):
            line = Text()
            for column, bits in enumerate(dots):
                shown = chr(BLANK + bits) if bits else " "
                line.append(self._letters.get((row, column), shown), style=self._styles[row][column])
            yield line


def draw(chart: Chart, columns: int) -> Iterator[Text]:
    """Yield the lines of a plot that is `columns` wide, and a legend with the last value of each curve.

    A curve ends with its letter; curves of one cell have one colour.

    Raises
    ------
    DmixError: there are more curves than letters.
    """
    if len(chart.curves) > len(LETTERS):
        raise DmixError(
            f"{len(chart.curves)} curves cannot be told apart on a terminal",
            f"name at most {len(LETTERS)} runs, or draw them to a file: --out curves.png",
        )
    styles = {cell: COLORS[place % len(COLORS)] for place, cell in enumerate(chart.cells)}
    xs = [x for curve in chart.curves for x in curve.x]
    ys = [y for curve in chart.curves for y in curve.y]
    canvas = Canvas(max(columns - LABEL - 1, 10), ROWS)
    across, down = _scale(min(xs), max(xs), 2 * canvas.columns - 4), _scale(max(ys), min(ys), 4 * ROWS - 1)
    ends = []
    for letter, curve in zip(LETTERS, chart.curves, strict=False):
        dots = [(across(x), down(y)) for x, y in zip(curve.x, curve.y, strict=True)]
        for start, end in pairwise([dots[0], *dots]):
            canvas.line(start, end, styles[curve.cell])
        ends.append((curve.y[-1], dots[-1], letter, styles[curve.cell]))
    for _, (x, y), letter, style in sorted(ends, reverse=True):  # so letters stand in the order of the values
        canvas.letter(x, y, letter, style)
    yield Text(f"{chart.y_label}  {chart.title}", style="bold")
    marks = {0: max(ys), ROWS // 2: (max(ys) + min(ys)) / 2, ROWS - 1: min(ys)}
    for row, line in enumerate(canvas.lines()):
        mark = f"{marks[row]:.4g}" if row in marks else ""
        yield Text(f"{mark:>{LABEL - 1}} ┤" if mark else f"{'':>{LABEL}}│").append(line)
    first, last = f"{min(xs):.0f}", f"{chart.x_label} {max(xs):.0f}"
    yield Text(f"{'':>{LABEL}} {first}{last:>{canvas.columns - len(first) - 1}}")
    for letter, curve in zip(LETTERS, chart.curves, strict=False):
        yield Text(f"{letter} ", style=styles[curve.cell]).append(_legend(chart, curve), style="default")


def _legend(chart: Chart, curve: Curve) -> str:
    note = f", {curve.note}" if curve.note else ""
    return f"{chart.short(curve.name)}: {curve.y[-1]:.4g} at {chart.x_label} {curve.x[-1]:.0f}{note}"


def _scale(first: float, last: float, dots: int) -> Callable[[float], int]:
    """Return a function from a value to the place of its dot: 0 for `first`, `dots` for `last`."""
    extent = (last - first) or 1.0
    return lambda value: round((value - first) / extent * dots)
