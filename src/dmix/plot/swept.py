"""Accuracy by the value of a setting: the numbers, the axis and the lines of figures of ablations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from dmix.errors import DmixError
from dmix.plot.labels import End
from dmix.plot.source import Source
from dmix.plot.style import BLACK, Look, Stroke, line
from dmix.report.frame import DONE
from dmix.report.numbers import fixed, shortest, span

Scale = Literal["log", "ordered"]
COLUMNS = (
    "grid",
    "dataset",
    "policy",
    "kind",
    "setting",
    "value",
    "by",
    "by_value",
    "n",
    "mean",
    "low",
    "high",
    "chosen",
)
GREEK = ("alpha", "beta", "gamma", "eta", "xi")
RING: Mapping[str, Any] = {
    "color": BLACK,
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": BLACK,
    "markeredgewidth": 0.8,
}


def swept(source: Source, grid: str, over: str, by: str = "") -> pd.DataFrame:
    """Return one row for each policy and value of `over` (and of `by`) in a grid, in the order of the values.

    Columns are `COLUMNS`. `chosen` is whether the policy has these values in other tables too; `mean`, `low`
    and `high` (percent) are over the `n` finished seeds, and missing without one.

    Parameters
    ----------
    over, by: settings, such as objective.eta; `by` "" tells no lines apart.

    Raises
    ------
    DmixError: a run of the grid lacks the setting.
    """
    settings = [key for key in (over, by) if key]
    frame = source.frame(settings)
    frame = frame[frame["name"].isin(source.grid.grids.get(grid, ()))]
    varied = frame["name"].map(lambda name: {key for key, _ in source.grid.runs[name].variation})
    frame = frame.assign(
        chosen=[not keys & set(settings) for keys in varied], by_value=frame[by] if by else ""
    )
    if any(value == "" for key in settings for value in frame[key]):
        raise DmixError(
            f"figure {source.name}: runs of grid {grid} have no setting {' or '.join(settings)}",
            "`dmix resolve NAME` prints every setting of a run",
        )
    rows = []
    for (policy, at_by, value), runs in frame.groupby(["policy", "by_value", over], sort=False):
        scores = runs.loc[runs["state"] == DONE, "score"]
        which = (grid, runs["dataset"].iloc[0], policy, source.params.policies[str(policy)].kind)
        numbers = (len(scores), scores.mean(), scores.min(), scores.max())
        rows.append((*which, over, value, by, at_by, *numbers, bool(runs["chosen"].any())))
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found.sort_values("value", kind="stable", ignore_index=True)


def set_scale(axes: Axes, over: str, scale: Scale, values: Iterable[float]) -> Mapping[float, float]:
    """Give an x axis a tick for each value, and return where each stands: at itself, or side by side."""
    ordered = sorted(set(values))
    places = {value: float(value if scale == "log" else index) for index, value in enumerate(ordered)}
    if scale == "log":
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), [shortest(value) for value in places])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.08)
    axes.set_xlabel(symbol(over))
    return places


def draw_line(
    axes: Axes, points: pd.DataFrame, places: Mapping[float, float], look: Look, stroke: Stroke, **more: Any
) -> None:
    """Draw means as a line with gaps where there are none, and the range over seeds as bars.

    Parameters
    ----------
    points: of one line, as `swept` returns them.
    """
    x = [places[value] for value in points["value"]]
    mean = points["mean"].to_numpy()
    bars = np.stack([mean - points["low"], points["high"] - mean])
    axes.errorbar(x, mean, yerr=bars, elinewidth=0.7, **(line(look, stroke) | more))


def ring(axes: Axes, points: pd.DataFrame, places: Mapping[float, float]) -> None:
    """Draw a ring around the points at the values that tables use."""
    chosen = points[points["chosen"] & points["mean"].notna()]
    x = [places[value] for value in chosen["value"]]
    axes.plot(x, chosen["mean"].to_numpy(), linestyle="none", zorder=3, label="_chosen", **RING)


def end_of(points: pd.DataFrame, places: Mapping[float, float], label: str, look: Look) -> Iterator[End]:
    """Yield the last point of a line that has a number, with its label."""
    there = points[points["mean"].notna()]
    if not there.empty:
        last = there.iloc[-1]
        yield End(places[last["value"]], last["mean"], label, look.color)


def symbol(setting: str) -> str:
    """Return a setting of an objective as formulas have it: xi of objective.xi as the Greek letter."""
    name = setting.rpartition(".")[2]
    return rf"$\{name}$" if name in GREEK else f"${name}$" if len(name) == 1 else name


def one_each(source: Source, **lists: Sequence[Any]) -> None:
    """Refuse settings of a figure that are not given once for each of its grids.

    Raises
    ------
    DmixError: one of `lists` is of another length.
    """
    grids = source.entry.grids
    for key, values in lists.items():
        if len(values) != len(grids):
            raise DmixError(
                f"figure {source.name}: {key} has {len(values)} values for {len(grids)} grids",
                f"write one for each of {', '.join(grids)}",
            )


def seeds_of(points: pd.DataFrame) -> str:
    """Return the sentence of a caption that says of how many seeds the points are."""
    return f"Seeds per point: {span(points['n'].tolist())}."


def best_of(source: Source, points: pd.DataFrame) -> str:
    """Return a sentence for each line that says where it is highest."""
    sentences = []
    for (_, policy, by_value), own in points.groupby(["grid", "policy", "by_value"], sort=False):
        if own["mean"].notna().any():
            best = own.sort_values("mean", ascending=False, kind="stable").iloc[0]
            name = source.title("policy", str(policy))
            at = f" at {best['by']} {shortest(by_value)}" if best["by"] else ""
            where = source.title("dataset", best["dataset"])
            sentences.append(
                f"{name}{at} on {where} is highest, {fixed(best['mean'])} %, at {best['setting']} "
                f"{shortest(best['value'])}"
            )
    return "; ".join(sentences).replace("objective.", "")
