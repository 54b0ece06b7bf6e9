"""Draws curves as a picture: a strong line for the mean of each cell's seeds, thin ones for the seeds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import matplotlib as mpl
from matplotlib.figure import Figure

from dmix.curves.curve import Chart, Curve
from dmix.errors import DmixError
from dmix.files import atomic_write
from dmix.plot.render import METADATA
from dmix.plot.style import INCHES, styled

# Okabe and Ito: told apart by colour-blind people too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":")


def check_format(path: Path) -> None:
    """Raise DmixError where the name of the picture ends in no format that is written."""
    if path.suffix[1:] not in METADATA:
        raise DmixError(f"cannot draw {path}", f"give it a name that ends in .{' or .'.join(METADATA)}")


def save(chart: Chart, path: Path) -> None:
    """Draw the curves and write the picture; equal curves give equal bytes.

    Raises
    ------
    DmixError: there are more cells than looks, or the file cannot be written.
    """
    check_format(path)
    mpl.use("agg")
    with styled():
        form, stream = path.suffix[1:], io.BytesIO()
        draw(chart).savefig(stream, format=form, metadata=METADATA[form])
    with atomic_write(path) as target:
        target.write(stream.getvalue())


def draw(chart: Chart) -> Figure:
    """Return the figure.

    Raises
    ------
    DmixError: there are more cells than looks.
    """
    looks = [(color, dash) for dash in DASHES for color in COLORS]
    if len(chart.cells) > len(looks):
        raise DmixError(
            f"{len(chart.cells)} cells cannot be told apart in one picture", f"name at most {len(looks)}"
        )
    figure = Figure(figsize=(INCHES["full"], 3.4 + 0.13 * len(chart.cells)), layout="constrained")
    axes = figure.subplots()
    for cell, (color, dash) in zip(chart.cells, looks, strict=False):
        seeds = [curve for curve in chart.curves if curve.cell == cell]
        x, y = mean_curve(seeds)
        label = f"{chart.short(cell)}: {_last(y, seeds)}"
        if len(seeds) > 1:
            for seed in seeds:
                axes.plot(seed.x, seed.y, color=color, linestyle=dash, linewidth=0.5, alpha=0.6)
        axes.plot(x, y, color=color, linestyle=dash, linewidth=1.4, label=label)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.set_title(chart.title)
    figure.legend(loc="outside lower left", ncols=1)
    return figure


def mean_curve(seeds: Sequence[Curve]) -> tuple[list[float], list[float]]:
    """Return the mean of curves, at the places at which all of them have a value."""
    values = [dict(zip(seed.x, seed.y, strict=True)) for seed in seeds]
    x = [place for place in seeds[0].x if all(place in found for found in values)]
    return x, [mean(found[place] for found in values) for place in x]


def _last(y: Sequence[float], seeds: Sequence[Curve]) -> str:
    running = sum(bool(seed.note) for seed in seeds)
    last = f"{y[-1]:.4g}" if y else "no value in common"
    of = "1 seed" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
    return f"{last} ({of}{f', {running} in progress' if running else ''})"
