"""Accuracy on mixed images as a dot plot: Top-1 and Top-2 of each policy, MCE open and others filled."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from dmix.figures.mixed_frame import in_training, policies_of, seeds_and_gaps
from dmix.figures.mixed_marks import entries, fill_of, legend, ordered, symbol, titled
from dmix.mixed.record import OWN
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import GREY, look_of
from dmix.report.numbers import fixed

TOP1, TOP2 = "o", "s"
SHAPES = ((TOP2, "Top-2"), (TOP1, "Top-1"))
APART = 0.18
"""Half the distance of the two objectives of a row, in rows."""


@part
def mixed_policies(source: Source, *, row: float = 0.27) -> Drawn:
    """Draw a row for each policy, mixed by itself with lam as in training; x is percent from 0.

    Parameters
    ----------
    row: height of a policy in inches.
    """
    data = in_training(source, OWN)
    policies = policies_of(source, data)
    figure = source.canvas(row * max(len(policies), 1) + 0.75)
    axis = figure.subplots()
    objectives = ordered(source, data["objective"])
    for (policy, objective), runs in data.groupby(["policy", "objective"], sort=False):
        among = 2 * objectives.index(str(objective)) + 1 - len(objectives)
        color = look_of(source.params.policies[str(policy)]).color
        _pair(axis, policies.index(str(policy)) + APART * among, runs, color, fill_of(str(objective), color))
    axis.set_yticks(range(len(policies)), [source.title("policy", name) for name in policies])
    axis.set_ylim(max(len(policies), 1) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlim(0, 1.04 * axis.get_xlim()[1])  # a mark at the end is whole
    axis.set_xlabel("accuracy on mixed images (%)")
    legend(
        figure,
        [*(symbol(GREY, marker, GREY, label) for marker, label in SHAPES), *entries(source, objectives)],
    )
    return Drawn(figure, data, alt=_alt(source, data), says=seeds_and_gaps(source, data, OWN))


def _pair(axis: Axes, place: float, runs: pd.DataFrame, color: str, fill: str) -> None:
    """Draw Top-2 and Top-1, the mean over seeds, with a line between, and each seed as a point."""
    top1, top2 = runs["top1"].mean(), runs["top2"].mean()
    axis.plot([top2, top1], [place, place], "-", color=color, linewidth=0.8, zorder=1)
    for value, seeds, marker in ((top2, runs["top2"], TOP2), (top1, runs["top1"], TOP1)):
        if len(seeds) > 1:
            axis.plot(seeds, [place] * len(seeds), "|", color=color, markersize=4, alpha=0.6, zorder=2)
        axis.plot([value], [place], marker, color=color, markerfacecolor=fill, markersize=4.5, zorder=3)


def _alt(source: Source, data: pd.DataFrame) -> str:
    told = (
        f"{titled(source, keys)} {fixed(runs['top1'].mean())} and {fixed(runs['top2'].mean())}"
        for keys, runs in data.groupby(["policy", "objective"], sort=False)
    )
    return f"Dot plot of Top-1 and Top-2 accuracy on mixed images, in percent. {'; '.join(told) or 'Empty'}."
