"""The response of trained networks to the weight eta of the decoupled term, paired by seed against eta 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandas as pd
from annotated_types import Gt, Interval
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.figures.dose_frame import (
    CLEAN,
    MARGIN,
    MEAN,
    MEASURES,
    SEED,
    SHARE_ERROR,
    TOP2,
    by_dose,
    measured,
    responses,
)
from dmix.figures.mixed_frame import policies_of
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import BLACK, look_of
from dmix.report.dose import Judged, rises, stays_below
from dmix.report.numbers import shortest, signed

TITLES: Mapping[str, str] = {
    TOP2: "mixed images with both classes on top",
    MARGIN: "minor class over all classes not in the image",
    SHARE_ERROR: "error of the predicted share",
    CLEAN: "accuracy on unmixed images",
}
LABELS: Mapping[str, str] = {
    TOP2: "Top-2 (points)",
    MARGIN: "margin (logits)",
    SHARE_ERROR: "share error (points)",
    CLEAN: "Top-1 (points)",
}
APART = 0.16
"""Distance of two policies at one eta, and of a mean from its seeds, in steps of the axis."""
DOT: Mapping[str, Any] = {"marker": ".", "markersize": 3.5, "linestyle": "none", "markeredgewidth": 0}


@part
def dose(
    source: Source,
    *,
    share: Annotated[float, Interval(gt=0, le=0.5)],
    bound: Annotated[float, Gt(0)],
    height: float = 3.4,
) -> Drawn:
    """Draw, of each measure, the mean difference from eta 0 with its 95 % interval, and each seed as a dot.

    Mixed images are those of each run's own policy. Only seeds that have a run at every eta count.

    Parameters
    ----------
    share: weight of the minor class at which mixed images are judged, one of 0.05, 0.1, ..., 0.5.
    bound: points by which neither the share error nor the accuracy on unmixed images is predicted to rise.
    height: in inches.

    Raises
    ------
    DmixError: `share` is none of these weights.
    """
    runs = measured(source, share)
    data = responses(runs)
    policies = policies_of(source, data)
    figure = source.canvas(height)
    for axes, measure in zip(figure.subplots(2, 2, sharex=True).flatten(), MEASURES, strict=True):
        _panel(axes, source, data[data["measure"] == measure], policies)
        axes.set_title(TITLES[measure])
        axes.set_ylabel(LABELS[measure])
    figure.supxlabel(r"weight $\eta$ of the decoupled term (0 is MCE)", fontsize=8)
    if len(policies) > 1:
        names = [(name, source.title("policy", name)) for name in policies]
        handles = [Line2D([], [], **_style(source, name), label=title) for name, title in names]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    outcomes = (
        f"{source.title('policy', name)}: {outcome(runs[runs['policy'] == name], bound)}" for name in policies
    )
    says = " ".join(outcomes) or "No seed has an evaluated run at every eta yet."
    return Drawn(figure, data, alt=_alt(source, data), says=says)


def _panel(axes: Axes, source: Source, data: pd.DataFrame, policies: list[str]) -> None:
    doses = sorted(set(data["eta"]))
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.grid(visible=False, axis="x")
    axes.set_xticks(range(len(doses)), [shortest(value) for value in doses])
    for index, policy in enumerate(policies):
        own, style = data[data["policy"] == policy], _style(source, policy)
        place = own["eta"].map(doses.index) + 2 * APART * (index - (len(policies) - 1) / 2)
        dots = own["mark"] == SEED
        axes.plot(place[dots] + APART, own.loc[dots, "value"], color=style["color"], label="seeds", **DOT)
        mean = own[own["mark"] == MEAN]
        bars = [mean["value"] - mean["low"], mean["high"] - mean["value"]]
        axes.errorbar(place[mean.index], mean["value"], yerr=bars, elinewidth=1.0, label=policy, **style)


def _style(source: Source, policy: str) -> dict[str, Any]:
    look = look_of(source.params.policies[policy])
    return {"color": look.color, "marker": look.marker}


def outcome(runs: pd.DataFrame, bound: float) -> str:
    """Return what came of the four predictions for one policy, each with its difference at the largest eta.

    Parameters
    ----------
    runs: of the policy, as `measured` returns them. bound: see `dose`.
    """
    values = {measure: by_dose(runs, measure) for measure in MEASURES}
    less = f"by less than {shortest(bound)} points"
    found = (
        ("Top-2 rises with eta", "points", rises(values[TOP2])),
        ("the margin rises with eta", "logits", rises(values[MARGIN])),
        (f"the share error rises {less}", "points", stays_below(values[SHARE_ERROR], bound)),
        (f"accuracy on unmixed images rises {less}", "points", stays_below(values[CLEAN], bound)),
    )
    told = "; ".join(f"{words}: {_told(judged, unit)}" for words, unit, judged in found)
    seeds, most = len(values[TOP2]), shortest(values[TOP2].columns[-1])
    return f"{told}. Seeds: {seeds}; differences are those of eta {most} from eta 0, with 95 % intervals."


def _told(judged: Judged, unit: str) -> str:
    """Return the word of a prediction with the difference of the largest eta from eta 0."""
    most = judged.most
    if most is None:
        return f"{judged.word}, no seed has it at every eta"
    if most.low is None or most.high is None:
        return f"{judged.word}, {signed(most.mean)} {unit} of one seed"
    return f"{judged.word}, {signed(most.mean)} {unit} ({signed(most.low)} to {signed(most.high)})"


def _alt(source: Source, data: pd.DataFrame) -> str:
    told = []
    for (policy, measure), own in data[data["mark"] == MEAN].groupby(["policy", "measure"], sort=False):
        name = f"{source.title('policy', str(policy))}, {LABELS[str(measure)]}"
        found = (
            f"{signed(value)} at {shortest(eta)}" for eta, value in zip(own["eta"], own["value"], strict=True)
        )
        told.append(f"{name}: {', '.join(found)}")
    return f"Four panels of differences from eta 0, by eta. {'; '.join(told) or 'Nothing yet'}."
