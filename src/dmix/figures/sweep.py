"""Accuracy against the value of a setting, such as eta: a panel for each grid, a line for each policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes

from dmix.part import part
from dmix.plot.labels import End, label_ends
from dmix.plot.source import Drawn, Source
from dmix.plot.style import SOLID, Look, Stroke, looks_of
from dmix.plot.swept import best_of, draw_line, end_of, one_each, ring, seeds_of, set_scale, swept, symbol
from dmix.report.numbers import shortest

# Lines of one policy differ in these. All are filled, because open markers are MCE's.
STROKES = (SOLID, Stroke("--", filled=True), Stroke(":", filled=True), Stroke("-.", filled=True))


@part
def sweep(
    source: Source,
    *,
    over: tuple[str, ...],
    scale: tuple[Literal["log", "ordered"], ...],
    by: tuple[str, ...],
    titles: tuple[str, ...],
    height: float = 1.9,
) -> Drawn:
    """Draw means over seeds as dots and their range as bars, and ring the values that tables use.

    The panels have one y axis. Parameters but for `height` (inches) have one value for each grid:

    over: the setting on the x axis, such as objective.eta. scale: of the x axis; "ordered" sets the values
    side by side. by: another setting by which lines of one policy differ, or "". titles: of the panels.
    """
    one_each(source, over=over, scale=scale, by=by, titles=titles)
    found = [swept(source, grid, over[i], by[i]) for i, grid in enumerate(source.entry.grids)]
    data = pd.concat(found, ignore_index=True)
    looks = looks_of(source.params, data["policy"])
    figure = source.canvas(height)
    panels = figure.subplots(1, len(found), squeeze=False, sharey="row")[0]
    ends = []
    for i, (axes, points) in enumerate(zip(panels, found, strict=True)):
        places = set_scale(axes, over[i], scale[i], points["value"])
        axes.set_title(titles[i])
        ends.append((axes, list(_lines(axes, points, places, looks, source))))
    panels[0].set_ylabel("top-1 (%)")
    label_ends(figure, ends)
    return Drawn(figure, data, alt=f"Line plots. {best_of(source, data)}.", says=seeds_of(data))


def _lines(
    axes: Axes, points: pd.DataFrame, places: Mapping[float, float], looks: Mapping[str, Look], source: Source
) -> Iterator[End]:
    """Draw the lines of a panel; yield where each ends, but for lines without any number."""
    strokes = dict(zip(sorted(points["by_value"].unique(), reverse=True), STROKES, strict=False))
    for (policy, by_value), own in points.groupby(["policy", "by_value"], sort=False):
        look, by = looks[str(policy)], own["by"].iloc[0]
        label = source.title("policy", str(policy))
        if by:
            label += f", {symbol(by)} = {shortest(by_value)}"
        draw_line(axes, own, places, look, strokes[by_value], label=label)
        ring(axes, own, places)
        yield from end_of(own, places, label, look)
