"""Accuracy against training epochs: a thin line for each run, a strong one for the mean over seeds."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import look_of
from dmix.report.numbers import fixed


@part
def epochs(source: Source, *, height: float = 1.9) -> Drawn:
    """Draw one panel with the objectives of one policy, MCE dashed and open, others solid and filled.

    Parameters
    ----------
    height: in inches.
    """
    data = courses(source)
    figure = source.canvas(height)
    axis = figure.subplots()
    axis.set_xlabel("epoch")
    axis.set_ylabel("top-1 (%)")
    for (policy, objective), runs in data.groupby(["policy", "objective"], sort=False):
        _lines(axis, source, str(policy), str(objective), runs)
    return Drawn(figure, data, alt=_alt(source, data), says=_says(data))


def courses(source: Source) -> pd.DataFrame:
    """Return policy, objective, seed, epoch and top1 (percent) of every evaluation of the finished runs."""
    rows = []
    for run in source.finished().to_dict("records"):
        history = source.history(run["name"])
        column = f"top1_{run['primary']}"
        evaluated = history[history[column].notna()]
        for epoch, top1 in zip(evaluated["epoch"], evaluated[column], strict=True):
            rows.append([run["policy"], run["objective"], run["seed"], epoch, top1])
    return pd.DataFrame(rows, columns=["policy", "objective", "seed", "epoch", "top1"])


def _lines(axis: Axes, source: Source, policy: str, objective: str, runs: pd.DataFrame) -> None:
    look = look_of(source.params.policies[policy])
    plain = objective == "mce"
    line = "--" if plain else "-"
    for _, run in runs.groupby("seed"):
        axis.plot(run["epoch"], run["top1"], line, color=look.color, linewidth=0.5, alpha=0.6)
    mean = runs.groupby("epoch")["top1"].mean()
    axis.plot(
        *(mean.index.to_numpy(), mean.to_numpy(), line),
        color=look.color,
        marker=look.marker,
        markerfacecolor="white" if plain else look.color,
        markevery=[-1],
        label=source.title("objective", objective),
    )
    axis.annotate(
        source.title("objective", objective),
        (mean.index[-1], mean.iloc[-1]),
        (4, -8 if plain else 2),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        annotation_clip=False,
    )


def _says(data: pd.DataFrame) -> str:
    if data.empty:
        return "No run is finished."
    return f"Seeds: {data['seed'].nunique()}."


def _alt(source: Source, data: pd.DataFrame) -> str:
    last = data[data["epoch"] == data["epoch"].max()].groupby(["policy", "objective"], sort=False)["top1"]
    ends = (
        f"{source.title('policy', policy)} with {source.title('objective', objective)} ends at {fixed(mean)}"
        for (policy, objective), mean in last.mean().items()
    )
    return f"Line plot of accuracy against epochs. {'; '.join(ends) or 'Nothing to draw yet'}."
