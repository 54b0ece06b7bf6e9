"""Writes the names of lines beside their ends, apart from each other, in place of a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

BESIDE = 1.03  # where labels begin, in widths of the axes
SPACING = 1.15  # of labels, in heights of their type
POINTS_PER_INCH = 72


@dataclass(frozen=True)
class End:
    """The last point of a line, in data coordinates, and what is written beside it."""

    x: float
    y: float
    text: str
    color: str


def label_ends(figure: Figure, labels: Sequence[tuple[Axes, Sequence[End]]], size: float = 7) -> None:
    """Write the labels of each axes to the right of it, moved up or down until none covers another.

    A thin line leads from a label to its point. Call it last: it lays the figure out, and reads from that how
    high the axes are.

    Parameters
    ----------
    size: of the type, in points.
    """
    written = [(axes, [_write(axes, end, size) for end in ends]) for axes, ends in labels]
    figure.draw_without_rendering()
    for axes, notes in written:
        wanted = [_height_of(axes, note) for note in notes]
        height = axes.bbox.height * POINTS_PER_INCH / figure.dpi
        for note, place in zip(notes, spread(wanted, size * SPACING, height), strict=True):
            note.set_position((BESIDE, place))


def spread(positions: Sequence[float], gap: float, height: float) -> list[float]:
    """Return `positions` moved as little as possible (least squares) to be `gap` apart, in their order.

    They stay between 0 and `height` where there is room. Neighbours that would touch form a block with its
    centre at the mean of theirs (pooling of adjacent violators).
    """
    order = np.argsort(positions, kind="stable")
    # A block: the places it holds and the sum of what its first label would like to be at.
    blocks: list[tuple[int, float]] = []
    for index in order:
        blocks.append((1, float(positions[index])))
        while len(blocks) > 1 and _start(blocks[-2]) + blocks[-2][0] * gap > _start(blocks[-1]):
            (n, wish), (m, other) = blocks[-2:]
            blocks[-2:] = [(n + m, wish + other - m * n * gap)]
    found = np.empty(len(positions))
    places = np.concatenate([_start(block) + gap * np.arange(block[0]) for block in blocks] or [np.empty(0)])
    lowest = gap * np.arange(len(places))
    # Into the axes: no label below its place in a pile at the bottom, or above that in one at the top.
    found[order] = np.maximum(np.minimum(places, height - lowest[::-1]), lowest)
    return [float(place) for place in found]


def _start(block: tuple[int, float]) -> float:
    n, wish = block
    return wish / n


def _write(axes: Axes, end: End, size: float) -> Annotation:
    return axes.annotate(
        end.text,
        xy=(end.x, end.y),
        xycoords="data",
        xytext=(BESIDE, 0),
        textcoords=("axes fraction", "axes points"),
        color=end.color,
        fontsize=size,
        va="center",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": end.color, "shrinkA": 0, "shrinkB": 3},
    )


def _height_of(axes: Axes, note: Annotation) -> float:
    """Return how high the point of a label is above the bottom of its axes, in points."""
    _, y = axes.transData.transform(note.xy)
    return float((y - axes.bbox.y0) * POINTS_PER_INCH / axes.figure.dpi)
