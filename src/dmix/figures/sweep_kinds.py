"""Accuracy against the value of a setting for static and dynamic policies: their means, and each thinly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.part import part
from dmix.plot.labels import End, label_ends
from dmix.plot.source import Drawn, Source
from dmix.plot.style import LOOKS, SOLID, line, looks_of
from dmix.plot.swept import best_of, draw_line, end_of, ring, seeds_of, set_scale, swept

KINDS = ("static", "dynamic")
THIN = {"linewidth": 0.5, "markersize": 2.5}


@part
def sweep_kinds(source: Source, *, over: str, height: float = 2.1) -> Drawn:
    """Draw a panel for each grid, and ring the values that tables use.

    A strong line is the mean over the static, or over the dynamic, policies where each of them has a number.

    Parameters
    ----------
    over: the setting on the x axis, which is logarithmic. height: in inches.
    """
    found = [swept(source, grid, over) for grid in source.entry.grids]
    data = pd.concat(found, ignore_index=True)
    looks = looks_of(source.params, data["policy"])
    figure = source.canvas(height)
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    ends = []
    for axes, points in zip(panels, found, strict=True):
        places = set_scale(axes, over, "log", points["value"])
        axes.set_title(", ".join(source.title("dataset", name) for name in points["dataset"].unique()))
        for policy, own in points.groupby("policy", sort=False):
            title = source.title("policy", str(policy))
            draw_line(axes, own, places, looks[str(policy)], SOLID, label=title, **THIN)
            ring(axes, own, places)
        ends.append((axes, list(_means(axes, points, places))))
    panels[0].set_ylabel("top-1 (%)")
    handles = [
        Line2D([], [], **line(look, SOLID) | THIN, label=source.title("policy", policy))
        for policy, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    label_ends(figure, ends)
    return Drawn(figure, data, alt=f"Line plots. {best_of(source, data)}.", says=seeds_of(data))


def _means(axes: Axes, points: pd.DataFrame, places: Mapping[float, float]) -> Iterator[End]:
    """Draw the mean of each kind; yield where it ends."""
    for kind in KINDS:
        own = points[points["kind"] == kind]
        if own.empty:
            continue
        # A value that lacks a policy would be the mean of other policies than its neighbours.
        by_value = own.groupby("value")["mean"].mean(skipna=False).reset_index()
        x = [places[value] for value in by_value["value"]]
        axes.plot(x, by_value["mean"].to_numpy(), color=LOOKS[kind].color, linewidth=1.4, label=kind)
        yield from end_of(by_value, places, kind, LOOKS[kind])
