"""Accuracy against training epochs: mean and range over seeds, and a thin line for each run."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from dmix.part import part
from dmix.plot.courses import courses, mean_course
from dmix.plot.labels import End, label_ends
from dmix.plot.source import Drawn, Source
from dmix.plot.style import Look, Stroke, line, look_of, strokes_of
from dmix.report.numbers import fixed


@part
def epochs(source: Source, *, height: float = 1.9) -> Drawn:
    """Draw the objectives of one policy in one panel, MCE broken and open, the paper's solid and filled.

    Parameters
    ----------
    height: in inches.
    """
    data = courses(source)
    figure = source.canvas(height)
    axes = figure.subplots()
    axes.set_xlabel("epoch")
    axes.set_ylabel("top-1 (%)")
    strokes = strokes_of(source.params, data["objective"])
    ends = []
    for (policy, objective), runs in data.groupby(["policy", "objective"], sort=False):
        look = look_of(source.params.policies[str(policy)])
        title = source.title("objective", str(objective))
        ends.append(draw_course(axes, runs, look, strokes[str(objective)], title))
    label_ends(figure, [(axes, ends)])
    return Drawn(figure, data, alt=_alt(source, data), says=f"Seeds: {data['seed'].nunique()}.")


def draw_course(axes: Axes, runs: pd.DataFrame, look: Look, stroke: Stroke, label: str) -> End:
    """Draw the courses of some seeds and their mean; return where the mean ends.

    Parameters
    ----------
    runs: columns seed, epoch and top1 (percent).
    """
    mean = mean_course(runs)
    if runs["seed"].nunique() > 1:
        axes.fill_between(mean.index, mean["min"], mean["max"], color=look.color, alpha=0.12, linewidth=0)
        for _, run in runs.groupby("seed"):
            axes.plot(run["epoch"], run["top1"], stroke.line, color=look.color, linewidth=0.4, alpha=0.5)
    style = line(look, stroke) | {"markevery": [-1], "label": label}
    axes.plot(mean.index.to_numpy(), mean["mean"].to_numpy(), **style)
    return End(float(mean.index[-1]), float(mean["mean"].iloc[-1]), label, look.color)


def _alt(source: Source, data: pd.DataFrame) -> str:
    ends = (
        f"{source.title('policy', str(policy))} with {source.title('objective', str(objective))} ends at "
        f"{fixed(mean_course(runs)['mean'].iloc[-1])} %"
        for (policy, objective), runs in data.groupby(["policy", "objective"], sort=False)
    )
    return f"Line plot of accuracy against epochs. {'; '.join(ends)}."
