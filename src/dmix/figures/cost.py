"""Accuracy against the cost of a training step, by policy: a panel for each data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import BLACK, Look, Stroke, line, look_of, strokes_of
from dmix.report.frame import DONE
from dmix.report.numbers import fixed, shortest, span

COLUMNS = ("dataset", "policy", "kind", "passes", "objective", "n", "mean", "low", "high")
BETWEEN = 0.8  # between policies of different cost, in policies
STAGGERED = 13  # points below the axis of every other name, which would touch its neighbours
SHADE = "#f4f4f4"
PLAIN = "none"  # the kind of policies without mixing


@part
def cost(source: Source, *, panel: float = 0.95) -> Drawn:
    """Draw policies side by side, in groups of one cost, with their objectives above each other.

    The cost is the entry `passes` of a policy: forward passes of the network in a step, a backward pass
    counting two. Seconds would not do, because runs share machines.

    Parameters
    ----------
    panel: height of a panel, in inches.
    """
    data = costed(source)
    datasets = list(dict.fromkeys(data["dataset"]))
    places = placed(source, data["policy"])
    strokes = strokes_of(source.params, data.loc[data["kind"] != PLAIN, "objective"])
    figure = source.canvas(panel * len(datasets) + 0.8)
    panels = figure.subplots(len(datasets), 1, squeeze=False, sharex=True)[:, 0]
    for axes, dataset in zip(panels, datasets, strict=True):
        axes.set_ylabel(f"{source.title('dataset', dataset)}\ntop-1 (%)")
        _panel(axes, data[data["dataset"] == dataset], places, strokes, source)
    titles = [source.title("policy", name) for name in places]
    panels[-1].set_xticks(list(places.values()), titles)
    for tick in panels[-1].xaxis.get_major_ticks()[1::2]:
        tick.set_pad(STAGGERED)
    _name_costs(panels[0], places, source)
    handles = [
        Line2D(
            [],
            [],
            **line(Look(BLACK, "o"), stroke) | {"linestyle": "none"},
            label=source.title("objective", name),
        )
        for name, stroke in strokes.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return Drawn(figure, data, alt=_alt(source, data), says=_says(data))


def costed(source: Source) -> pd.DataFrame:
    """Return one row for each data set, policy and objective, with `COLUMNS`.

    `mean`, `low` and `high` (percent) are over the `n` finished seeds, and missing without one.
    """
    rows = []
    for (dataset, policy, objective), runs in source.frame().groupby(
        ["dataset", "policy", "objective"], sort=False
    ):
        entry, scores = source.params.policies[str(policy)], runs.loc[runs["state"] == DONE, "score"]
        summary = (len(scores), scores.mean(), scores.min(), scores.max())
        rows.append((dataset, policy, entry.kind, entry.passes, objective, *summary))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def placed(source: Source, names: Iterable[str]) -> Mapping[str, float]:
    """Return where each policy stands on the x axis: by cost, with gaps, then as in `params.yaml`."""
    policies = source.params.policies
    ordered = sorted(
        (name for name in policies if name in set(names)), key=lambda name: policies[name].passes
    )
    classes = sorted({policies[name].passes for name in ordered})
    return {name: i + BETWEEN * classes.index(policies[name].passes) for i, name in enumerate(ordered)}


def _classes(places: Mapping[str, float], source: Source) -> Mapping[float, tuple[float, float]]:
    """Return cost -> the first and the last place of its policies."""
    found: dict[float, list[float]] = {}
    for name, place in places.items():
        found.setdefault(source.params.policies[name].passes, []).append(place)
    return {passes: (min(own), max(own)) for passes, own in found.items()}


def _name_costs(axes: Axes, places: Mapping[str, float], source: Source) -> None:
    """Write above a panel what a step costs, over the policies of this cost."""
    for passes, (first, last) in _classes(places, source).items():
        axes.annotate(
            *(f"{shortest(passes)}F", ((first + last) / 2, 1.0), (0, 2)),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )


def _panel(
    axes: Axes, data: pd.DataFrame, places: Mapping[str, float], strokes: Mapping[str, Stroke], source: Source
) -> None:
    policies = source.params.policies
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.15)
    for first, last in _classes(places, source).values():
        axes.axvspan(first - 0.5, last + 0.5, color=SHADE, linewidth=0, zorder=0)
    for policy, pair in data.dropna(subset="mean").groupby("policy", sort=False):
        look, x = look_of(policies[str(policy)]), places[str(policy)]
        axes.plot(
            [x, x], [pair["mean"].min(), pair["mean"].max()], color=look.color, linewidth=0.8, label="_pair"
        )
        for one in pair.to_dict("records"):
            stroke = strokes.get(one["objective"], Stroke("none", filled=True))
            bar = [[one["mean"] - one["low"]], [one["high"] - one["mean"]]]
            style = line(look, stroke) | {"linestyle": "none", "label": f"{policy} {one['objective']}"}
            axes.errorbar([x], [one["mean"]], yerr=bar, elinewidth=0.5, **style)


def _says(data: pd.DataFrame) -> str:
    return f"Seeds: {span(data['n'].tolist())}."


def _alt(source: Source, data: pd.DataFrame) -> str:
    sentences = []
    for dataset, here in data.dropna(subset="mean").groupby("dataset", sort=False):
        best = here.loc[here.groupby(["kind", "objective"], sort=False)["mean"].idxmax()]
        found = ", ".join(
            f"{source.title('policy', one['policy'])} with {source.title('objective', one['objective'])} "
            f"{fixed(one['mean'])} ({shortest(one['passes'])}F)"
            for one in best.to_dict("records")
        )
        sentences.append(f"{source.title('dataset', str(dataset))}: {found}")
    return (
        f"Dot plots of accuracy by cost of a step. Best of each kind and objective: {'; '.join(sentences)}."
    )
