"""The rescaled label r(lam, t, xi) of DM(BCE): a panel for each xi, a labelled curve for each t."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
import torch
from annotated_types import Ge, Gt, Interval, Len
from matplotlib.axes import Axes

from dmix.objectives.dm_bce import rescale
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import GREY

STYLES = ((0, (1, 1)), "-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
LEFTMOST = 0.15  # lam of a label at least, clear of the axis
COLORS = ("#d55e00", "black", "#0072b2", "#117733")


@part
def rescaling(
    source: Source,
    *,
    xi: Annotated[tuple[Annotated[float, Interval(ge=0, le=1)], ...], Len(1, 3)],
    t: Annotated[tuple[Annotated[float, Ge(0)], ...], Len(1, 4)],
    points: Annotated[int, Gt(1)] = 101,
    height: float = 2.0,
) -> Drawn:
    """Draw r(lam) of `dmix.objectives.dm_bce.rescale`, the function that the loss uses.

    Parameters
    ----------
    xi, t: panels and curves. points: values of lam, evenly in [0, 1]. height: in inches.
    """
    data = curves(xi, t, points)
    figure = source.canvas(height)
    axes = figure.subplots(1, len(xi), sharey=True, squeeze=False)[0]
    for axis, value in zip(axes, xi, strict=True):
        _panel(axis, data[data["xi"] == value], value, t)
    axes[0].set_ylabel(r"rescaled label $r(\lambda, t, \xi)$")
    return Drawn(figure, data, alt=_alt(data, xi, t))


def curves(xi: tuple[float, ...], t: tuple[float, ...], points: int) -> pd.DataFrame:
    """Return xi, t, lam and r of every point, in float64."""
    lam = torch.linspace(0, 1, points, dtype=torch.float64)
    frames = [
        pd.DataFrame({"xi": x, "t": exponent, "lam": lam.numpy(), "r": rescale(lam, exponent, x).numpy()})
        for x in xi
        for exponent in t
    ]
    return pd.concat(frames, ignore_index=True)


def _panel(axis: Axes, data: pd.DataFrame, xi: float, t: tuple[float, ...]) -> None:
    axis.set_title(rf"$\xi$ = {xi:g}")
    axis.set_xlabel(r"$\lambda$")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.04)
    if xi < 1:
        axis.axvline(xi, color=GREY, linewidth=0.6, linestyle=":")
    # Labels sit on a diagonal, where neighbouring curves are farthest apart.
    for place, exponent in enumerate(t):
        curve = data[data["t"] == exponent]
        color = COLORS[place % len(COLORS)]
        axis.plot(curve["lam"], curve["r"], color=color, linestyle=STYLES[place % len(STYLES)])
        lam, r = curve["lam"].to_numpy(), curve["r"].to_numpy()
        at = int(
            np.abs(np.maximum(lam, LEFTMOST) / max(xi, LEFTMOST) + r - 1).argmin() or LEFTMOST * len(lam)
        )
        axis.annotate(
            f"t = {exponent:g}",
            (lam[at], r[at]),
            ha="center",
            va="center",
            color=color,
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )


def _alt(data: pd.DataFrame, xi: tuple[float, ...], t: tuple[float, ...]) -> str:
    """Return the value of every curve at lam = 1/2."""
    half = data.iloc[(data["lam"] - 0.5).abs().sort_values(kind="stable").index]
    said = [
        f"xi {x:g}: "
        + ", ".join(
            f"t {exponent:g} gives {half[(half['xi'] == x) & (half['t'] == exponent)]['r'].iloc[0]:.2f}"
            for exponent in t
        )
        for x in xi
    ]
    return f"Curves of the rescaled label against lam, from 0 to 1. At lam = 0.5, {'; '.join(said)}."
