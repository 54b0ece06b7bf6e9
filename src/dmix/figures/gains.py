"""Gains of one objective over another by policy, with their intervals: a forest plot beside a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.markers import CARETLEFT, CARETRIGHT

from dmix.errors import DmixError
from dmix.grid.axes import OBJECTIVE, POLICY
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import BLACK, GREY, look_of
from dmix.report.numbers import signed, span

COLUMNS = ("dataset", "backbone", "policy", "mark", "value", "low", "high", "n", "seed", "source")
PROBLEM = ["dataset", "backbone"]
MEAN, SEED, PUBLISHED = "mean", "seed", "published"
BELOW = 0.3  # where the dots of the seeds are, in rows below the mean
TICK: dict[str, Any] = {"marker": "|", "markersize": 9, "color": GREY, "markeredgewidth": 1.4}
DOT: dict[str, Any] = {"marker": ".", "markersize": 3, "color": BLACK, "markeredgewidth": 0}
BEYOND = 0.12  # how far an axis goes beyond its outermost mark, in shares of their range


@part
def gains(source: Source, *, row: float = 0.22) -> Drawn:
    """Draw a row for each policy of the figure's table and a panel for each data set and network.

    The mean of the gains paired by seed has its 95 % interval; light dots are the seeds, a grey tick is the
    published gain. An interval that leaves the panel ends in an arrow there.

    Parameters
    ----------
    row: height of a row, in inches.

    Raises
    ------
    DmixError: the rows of the figure's table are no policies, or it has no gain of an objective over another.
    """
    data, compared = gained(source), source.params.tables[source.table.name].gain
    cells = [cell for row in source.table.cells for cell in row if compared and cell.objective == compared.of]
    policies = list(dict.fromkeys(cell.policy for cell in cells))
    problems = list(dict.fromkeys((cell.dataset, cell.backbone) for cell in cells))
    figure = source.canvas(row * len(policies) + 0.9)
    panels = figure.subplots(1, len(problems), squeeze=False, sharey=True)[0]
    for axes, problem in zip(panels, problems, strict=True):
        titles = (source.title(axis, name) for axis, name in zip(PROBLEM, problem, strict=True))
        axes.set_title("\n".join(titles))
        _panel(axes, data[(data[PROBLEM] == list(problem)).all(axis=1)], policies, source)
    panels[0].set_yticks(range(len(policies)), [source.title(POLICY, name) for name in policies])
    panels[0].set_ylim(len(policies) - 0.5, -0.5)
    of, over = source.table.gain or ("", "")
    figure.supxlabel(f"gain of {of} over {over} (points)", fontsize=8)
    return Drawn(figure, data, alt=_alt(source, data, of, over), says=_says(data))


def gained(source: Source) -> pd.DataFrame:
    """Return one row for each mark: the mean, every seed and every published gain of each cell with a gain.

    Columns are `COLUMNS`; `value`, `low` and `high` are points of accuracy.
    """
    table = source.params.tables[source.table.name]
    if table.rows != POLICY or table.gain is None or table.compared != OBJECTIVE:
        raise DmixError(
            f"figure {source.name}: table {source.table.name} shows no gains of objectives by policy",
            "name a table with rows: policy and gain: {of: ..., over: ...} of objectives",
        )
    frame, gain = source.finished(), table.gain
    rows: list[dict[str, Any]] = []
    for cells, published in zip(source.table.cells, source.table.published_gains, strict=True):
        for cell, numbers in zip(cells, published, strict=True):
            axes = {"dataset": cell.dataset, "backbone": cell.backbone, "policy": cell.policy}
            if cell.objective == gain.of and (cell.gain or numbers):
                if cell.gain:
                    own = {"value": cell.gain.mean, "low": cell.gain.low, "high": cell.gain.high}
                    rows.append(axes | own | {"mark": MEAN, "n": cell.gain.n})
                pairs = _differences(frame, axes, gain.of, gain.over)
                rows += [axes | {"mark": SEED, "value": value, "seed": seed} for seed, value in pairs.items()]
                rows += [
                    axes | {"mark": PUBLISHED, "value": one.value, "source": one.source} for one in numbers
                ]
    # As objects: a column of whole numbers with gaps would turn 2 into 2.0.
    found = pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")
    return found.astype(dict.fromkeys(("value", "low", "high"), "float64") | {"n": "Int64", "seed": "Int64"})


def _differences(frame: pd.DataFrame, axes: Mapping[str, str], of: str, over: str) -> Mapping[int, float]:
    """Return seed -> gain of a cell, for seeds that have both runs."""
    here = frame[(frame[list(axes)] == list(axes.values())).all(axis=1)]
    scores = here.pivot(index="seed", columns="objective", values="score").reindex(columns=[of, over])
    found = (scores[of] - scores[over]).dropna()
    return dict(zip(found.index.tolist(), found.tolist(), strict=True))


def _panel(axes: Axes, data: pd.DataFrame, policies: Sequence[str], source: Source) -> None:
    place = data["policy"].map(policies.index)
    axes.axvline(0, color=BLACK, linewidth=0.6)
    axes.grid(visible=False, axis="y")
    low, high = _limits(data["value"])
    axes.set_xlim(low, high)
    for mark, below, form in ((PUBLISHED, 0, TICK), (SEED, BELOW, DOT)):
        own = data["mark"] == mark
        axes.plot(data.loc[own, "value"], place[own] + below, linestyle="none", label=mark, **form)
    for mean in data[data["mark"] == MEAN].to_dict("records"):
        look, y = look_of(source.params.policies[mean["policy"]]), policies.index(mean["policy"])
        bar = [[mean["value"] - mean["low"]], [mean["high"] - mean["value"]]]
        style: dict[str, Any] = {"color": look.color, "marker": look.marker, "label": mean["policy"]}
        axes.errorbar([mean["value"]], [y], xerr=bar, elinewidth=1.0, **style)
        for leaves, edge, arrow in (
            (mean["low"] < low, low, CARETLEFT),
            (mean["high"] > high, high, CARETRIGHT),
        ):
            if leaves:
                axes.plot([edge], [y], marker=arrow, markersize=4, color=look.color, label="_arrow")


def _limits(values: pd.Series[float]) -> tuple[float, float]:
    """Return limits around all marks and zero. Intervals of two seeds, 12.7 errors wide, would fill them."""
    low, high = min(0.0, values.min()), max(0.0, values.max())
    margin = BEYOND * ((high - low) or 1.0)
    return low - margin, high + margin


def _says(data: pd.DataFrame) -> str:
    pairs = data.loc[data["mark"] == MEAN, "n"]
    if pairs.empty:
        return "No pair of runs is finished."
    return f"Pairs of runs per mean: {span(pairs.tolist())}."


def _alt(source: Source, data: pd.DataFrame, of: str, over: str) -> str:
    found = (
        f"{source.title('policy', one['policy'])} on {source.title('dataset', one['dataset'])} with "
        f"{source.title('backbone', one['backbone'])} {signed(one['value'])}"
        for one in data[data["mark"] == MEAN].to_dict("records")
    )
    return f"Forest plot of the gains of {of} over {over} in points: {'; '.join(found) or 'none yet'}."
