"""Accuracy on mixed images over lam: a small panel for each policy, MCE dashed and DM solid, y from 0."""

from __future__ import annotations

import math
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.figures.mixed_frame import over_lam, policies_of, seeds_and_gaps
from dmix.figures.mixed_marks import fill_of, legend, line_of, ordered, titled
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import GREY, look_of
from dmix.report.numbers import fixed

ACROSS = 3
MOVED = 0.01
"""From this difference of share and nominal lam on, both are drawn."""


@part
def mixed_sweep(
    source: Source,
    *,
    measure: Literal["top1", "top2"],
    mixing: Literal["own", "mixup", "cutmix"] = "own",
    height: float = 1.25,
) -> Drawn:
    """Draw the mean over seeds at each lam; a value stands at the share of the own image's pixels.

    Where this differs from lam, as in policies that cut, a thin line has the same values at lam itself.

    Parameters
    ----------
    measure: Top-1 or Top-2 of mixed images. mixing: what mixes the images; the runs' own policies or a common
        one. height: of a panel in inches.
    """
    data = over_lam(source, mixing)
    policies = policies_of(source, data)
    rows = max(1, math.ceil(len(policies) / ACROSS))
    figure = source.canvas(height * rows + 0.5)
    axes = figure.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False).flatten()
    for axis, policy in zip(axes, policies, strict=False):
        _panel(axis, source, policy, placed(data[data["policy"] == policy]), measure)
    for axis in axes[len(policies) :]:
        axis.set_visible(False)
    axes[0].set_xlim(0, 1)
    axes[0].set_ylim(bottom=0)
    figure.supxlabel("share of the own image", fontsize=8)
    figure.supylabel(f"top-{measure[-1]} of mixed images (%)", fontsize=8)
    objectives = ordered(source, data["objective"])
    legend(
        figure,
        [
            Line2D([], [], color=GREY, linestyle=line_of(name), label=source.title("objective", name))
            for name in objectives
        ],
    )
    says = seeds_and_gaps(source, data, mixing)
    return Drawn(figure, data, alt=_alt(source, data, measure), says=says)


def placed(data: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds by objective and nominal lam; column `at` is where a value is drawn.

    That is the share of own pixels or, where hidden states are mixed, the weight in the label.
    """
    means = data.groupby(["objective", "nominal"], sort=False)[["top1", "top2", "lam", "share"]].mean()
    return means.assign(at=means["share"].fillna(means["lam"])).reset_index()


def _panel(axis: Axes, source: Source, policy: str, data: pd.DataFrame, measure: str) -> None:
    look = look_of(source.params.policies[policy])
    axis.set_title(source.title("policy", policy), pad=3)
    for objective, points in data.groupby("objective", sort=False):
        line = line_of(str(objective))
        if (points["at"] - points["nominal"]).abs().max() > MOVED:
            axis.plot(points["nominal"], points[measure], line, color=look.color, linewidth=0.5, alpha=0.5)
        axis.plot(
            *(points["at"], points[measure], line),
            color=look.color,
            marker=look.marker,
            markevery=[len(points) // 2],
            markerfacecolor=fill_of(str(objective), look.color),
        )


def _alt(source: Source, data: pd.DataFrame, measure: str) -> str:
    half = data[data["nominal"] == 0.5]
    told = (
        f"{titled(source, keys)} {fixed(runs[measure].mean())}"
        for keys, runs in half.groupby(["policy", "objective"], sort=False)
    )
    return (
        f"Line plots of Top-{measure[-1]} accuracy on mixed images over lam, in percent. "
        f"At lam = 0.5: {'; '.join(told) or 'nothing yet'}."
    )
