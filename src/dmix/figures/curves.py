"""Learning curves of a table: a small panel for each policy and problem, objectives by line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dmix.part import part
from dmix.plot.courses import courses, mean_course
from dmix.plot.source import Drawn, Source
from dmix.plot.style import BLACK, DOTTED, LOOKS, Stroke, look_of, strokes_of
from dmix.report.numbers import fixed

Problem = tuple[str, str]
PROBLEM = ["dataset", "backbone"]
CELL = [*PROBLEM, "policy", "objective"]
ACROSS = 3  # panels side by side where a table has one problem


@part
def curves(source: Source, *, panel: float = 0.75) -> Drawn:
    """Draw means over seeds and the range between them; training without mixing is grey in every panel.

    A problem is a data set with a network. With several of them each has a column, and each policy a row.
    Panels of one problem have the same axes.

    Parameters
    ----------
    panel: height of a panel, in inches.
    """
    data, params = courses(source), source.params
    runs = source.frame()
    mixing = [name for name in params.policies if name in set(runs["policy"]) and _mixes(source, name)]
    problems = [(str(one), str(other)) for one, other in runs[PROBLEM].drop_duplicates().to_numpy()]
    strokes = strokes_of(params, runs.loc[runs["policy"].isin(mixing), "objective"])
    figure = source.canvas(panel * math.ceil(len(mixing) / _across(problems)) + 0.7)
    for axes, policy, problem in _panels(figure, source, mixing, problems):
        here = data[(data[PROBLEM] == list(problem)).all(axis=1)]
        for objective, stroke in strokes.items():
            own = here[(here["policy"] == policy) & (here["objective"] == objective)]
            _course(axes, own, look_of(params.policies[policy]).color, stroke, objective)
        for unmixed in sorted(set(here["policy"]) - set(mixing)):
            _course(axes, here[here["policy"] == unmixed], LOOKS["none"].color, DOTTED, unmixed)
    _legend(figure, source, strokes, set(runs["policy"]) - set(mixing))
    return Drawn(figure, data, alt=_alt(source, data), says=_says(data))


def _mixes(source: Source, policy: str) -> bool:
    return source.params.policies[policy].kind != "none"


def _across(problems: Sequence[Problem]) -> int:
    """Return how many policies stand in one row of panels."""
    return 1 if len(problems) > 1 else ACROSS


def _panels(
    figure: Figure, source: Source, mixing: Sequence[str], problems: Sequence[Problem]
) -> Iterator[tuple[Axes, str, Problem]]:
    """Lay out the panels with their titles, and yield each with its policy and problem."""
    across = max(len(problems), _across(problems))
    down = math.ceil(len(mixing) * len(problems) / across)
    share: Literal["col", "all"] = "col" if len(problems) > 1 else "all"
    grid = figure.subplots(down, across, squeeze=False, sharex=share, sharey=share)
    cells = [(policy, problem) for policy in mixing for problem in problems]
    for index, axes in enumerate(grid.flat):
        if index >= len(cells):
            axes.set_axis_off()
            grid[down - 2, index % across].tick_params(labelbottom=True)
            continue
        policy, problem = cells[index]
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(problems) == 1:
            axes.set_title(source.title("policy", policy), loc="left", fontsize=7, pad=2)
        elif index < across:
            titles = (source.title(axis, name) for axis, name in zip(PROBLEM, problem, strict=True))
            axes.set_title("\n".join(titles))
        if len(problems) > 1 and index % across == across - 1:
            axes.annotate(
                *(source.title("policy", policy), (1.03, 0.5)),
                xycoords="axes fraction",
                va="center",
                fontsize=7,
            )
        yield axes, policy, problem
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("top-1 (%)", fontsize=8)


def _course(axes: Axes, runs: pd.DataFrame, color: str, stroke: Stroke, label: str) -> None:
    if runs.empty:
        return
    mean = mean_course(runs)
    axes.fill_between(mean.index, mean["min"], mean["max"], color=color, alpha=0.15, linewidth=0)
    axes.plot(
        *(mean.index.to_numpy(), mean["mean"].to_numpy()),
        linestyle=stroke.line,
        color=color,
        linewidth=0.9,
        label=label,
    )


def _legend(figure: Figure, source: Source, strokes: Mapping[str, Stroke], unmixed: set[str]) -> None:
    handles = [
        Line2D([], [], color=BLACK, linestyle=stroke.line, label=source.title("objective", name))
        for name, stroke in strokes.items()
    ]
    handles += [
        Line2D([], [], color=LOOKS["none"].color, linestyle=DOTTED.line, label=source.title("policy", name))
        for name in sorted(unmixed)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _says(data: pd.DataFrame) -> str:
    seeds = data.groupby(CELL)["seed"].nunique()
    return (
        f"Seeds: {seeds.min()}." if seeds.min() == seeds.max() else f"Seeds: {seeds.min()} to {seeds.max()}."
    )


def _alt(source: Source, data: pd.DataFrame) -> str:
    ends = []
    for cell, runs in data.groupby(CELL, sort=False):
        titles = (source.title(axis, str(name)) for axis, name in zip(CELL, cell, strict=True))
        ends.append(f"{' '.join(titles)} {fixed(mean_course(runs)['mean'].iloc[-1])}")
    return f"Small line plots of accuracy against epochs. Means at the end in percent: {'; '.join(ends)}."
