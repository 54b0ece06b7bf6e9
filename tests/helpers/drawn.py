"""What a drawn figure or a written PDF has in it, read back."""

from __future__ import annotations

import re
from itertools import combinations
from unittest.mock import patch

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

GREYS = 0.05  # a colour whose channels differ by less is a grey or black


def luminance(color) -> float:
    """Relative luminance of sRGB by WCAG 2."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))


def contrast_on_white(color) -> float:
    """Contrast of a colour with white by WCAG 2, from 1 to 21."""
    return 1.05 / (luminance(color) + 0.05)


def series(axes: Axes) -> list[tuple[str, Line2D]]:
    """Name and line of what a form has named; a line with error bars is named by their container."""
    bars = [
        (str(bar.get_label()), bar.lines[0]) for bar in axes.containers if isinstance(bar, ErrorbarContainer)
    ]
    lines = [(str(line.get_label()), line) for line in axes.get_lines()]
    return [(name, line) for name, line in (*bars, *lines) if not name.startswith("_")]


def look_without_color(line: Line2D) -> tuple:
    """Line style, marker and whether the marker is filled."""
    marker = line.get_marker()
    has_marker = marker not in ("None", "none", " ", "", None)
    filled = has_marker and to_rgb(line.get_markerfacecolor()) != to_rgb("white")
    dashes = line._dash_pattern if line.get_linestyle() not in ("None", "none") else "none"
    return (str(dashes), marker if has_marker else "", filled)


def told_by_color_alone(axes: Axes) -> list[tuple[str, str]]:
    """Pairs of lines that differ in colour, and in nothing else: neither look nor a label of their own.

    A line without a name counts unless it is grey or has the colour of one with a name.
    Rows of a dot plot have their labels on the axis.
    """
    written = {text.get_text() for text in axes.texts}
    named = series(axes)
    colors = {to_rgb(line.get_color()) for _, line in named}
    own = [(str(line.get_label()), line) for line in axes.get_lines() if _is_own(line, colors)]
    return [
        (name, other)
        for (name, one), (other, two) in combinations([*named, *own], 2)
        if to_rgb(one.get_color()) != to_rgb(two.get_color())
        and look_without_color(one) == look_without_color(two)
        and not {name, other} <= written
        and not _in_named_rows(axes, one, two)
    ]


def _in_named_rows(axes: Axes, one: Line2D, other: Line2D) -> bool:
    """Whether each stands in a row, or column, of its own that is named in words on the axis."""
    for axis, data in ((axes.yaxis, Line2D.get_ydata), (axes.xaxis, Line2D.get_xdata)):
        at = list(axis.get_majorticklocs())
        # Of the formatter, because panels with a shared axis do not write their labels.
        names = dict(zip(at, axis.get_major_formatter().format_ticks(at), strict=True))
        words = {at: name for at, name in names.items() if name and not is_number(name)}
        rows = [_row(data(line), words) for line in (one, other)]
        if None not in rows and rows[0] != rows[1]:
            return True
    return False


def is_number(text: str) -> bool:
    return re.fullmatch(r"[-\u2212+]?\d+(\.\d+)?", text) is not None


def _row(values, names: dict[float, str]) -> str | None:
    """The name within half a row of all values, if there is one."""
    near = {name for at, name in names.items() for value in values if abs(value - at) < 0.5}
    return near.pop() if len(near) == 1 else None


def _is_own(line: Line2D, named: set[tuple[float, ...]]) -> bool:
    color = to_rgb(line.get_color())
    return color not in named and max(color) - min(color) > GREYS and len(line.get_xdata()) > 0


def texts(figure: Figure) -> list[Text]:
    """Every text that is drawn, of axes, ticks, legends and notes; ticks out of sight are not."""
    found: list[Text] = []
    draw = Text.draw

    def listed(self: Text, renderer) -> None:
        if self.get_visible() and self.get_text().strip():
            found.append(self)
        draw(self, renderer)

    with patch.object(Text, "draw", listed):
        figure.draw_without_rendering()
    return found


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text with its box in pixels, without the arrow of a note."""
    return [(text.get_text(), Text.get_window_extent(text)) for text in texts(figure)]


def overlapping(figure: Figure, slack: float = 1.0) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other by more than `slack` pixels in both directions."""
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes(figure), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > slack and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
    ]


def cut_off(figure: Figure, slack: float = 0.5) -> list[str]:
    """Texts that reach out of the figure by more than `slack` pixels."""
    whole = figure.bbox
    return [
        text
        for text, box in boxes(figure)
        if box.x0 < whole.x0 - slack
        or box.x1 > whole.x1 + slack
        or box.y0 < whole.y0 - slack
        or box.y1 > whole.y1 + slack
    ]


def media_box(pdf: bytes) -> tuple[float, ...]:
    """Left, bottom, right and top of the only page, in points."""
    (box,) = re.findall(rb"/MediaBox \[([^\]]*)\]", pdf)
    return tuple(float(number) for number in box.split())


def font_files(pdf: bytes) -> tuple[set[bytes], int, int]:
    """The subtypes of all fonts, how many fonts are described, and how many of these are embedded."""
    subtypes = set(re.findall(rb"/Subtype /(Type0|Type1|Type3|TrueType|CIDFontType0|CIDFontType2)\b", pdf))
    described = len(re.findall(rb"/Type /FontDescriptor\b", pdf))
    return subtypes, described, len(re.findall(rb"/FontFile[23]? \d+ 0 R", pdf))
