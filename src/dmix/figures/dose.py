"""The response of trained networks to the weight eta of the decoupled term, paired by seed against eta 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandas as pd
from annotated_types import Gt, Interval
from matplotlib.axes import Axes

from dmix.errors import DmixError
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
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import BLACK, Look, look_of
from dmix.report.dose import Judged, rises, stays_below
from dmix.report.numbers import fixed, shortest, signed

TITLES: Mapping[str, str] = {
    TOP2: "both classes of the image ranked on top",
    MARGIN: "minor class over all that are not in the image",
    SHARE_ERROR: "error of the predicted share",
    CLEAN: "accuracy on unmixed images",
}
LABELS: Mapping[str, str] = {
    TOP2: "Top-2 (points)",
    MARGIN: "margin (logits)",
    SHARE_ERROR: "share error (points)",
    CLEAN: "Top-1 (points)",
}
BESIDE = 0.16
"""Distance of the seeds from their mean, in steps of the axis."""
DOT: Mapping[str, Any] = {"marker": ".", "markersize": 4.5, "linestyle": "none", "markeredgewidth": 0}


@part
def dose(
    source: Source,
    *,
    share: Annotated[float, Interval(gt=0, le=0.5)],
    bound: Annotated[float, Gt(0)],
    height: float = 3.4,
) -> Drawn:
    """Draw, of each measure, the mean difference from eta 0 with its 95 % interval, and each seed as a dot.

    Below eta 0 stands the measure itself. Mixed images are those of the runs' own policy, of which there is
    one. Only seeds that have a run at every eta count.

    Parameters
    ----------
    share: weight of the minor class at which mixed images are judged, one of 0.05, 0.1, ..., 0.5.
    bound: points, drawn dotted, by which neither the share error nor the accuracy on unmixed images is
        predicted to rise.
    height: in inches.

    Raises
    ------
    DmixError: `share` is none of these weights, or the runs have several policies.
    """
    runs = measured(source, share)
    policy, *others = dict.fromkeys(runs["policy"])
    if others:
        raise DmixError(
            f"figure {source.name}: its runs have several policies: {', '.join((policy, *others))}",
            "choose one by where: {policy: ...}",
        )
    data = responses(runs)
    figure = source.canvas(height)
    for axes, measure in zip(figure.subplots(2, 2, sharex=True).flatten(), MEASURES, strict=True):
        axes.axhline(0, color=BLACK, linewidth=0.6)
        axes.grid(visible=False, axis="x")
        axes.set_title(TITLES[measure])
        axes.set_ylabel(rf"$\Delta$ {LABELS[measure]}")
        axes.margins(x=0.12, y=0.16)
        if measure in (SHARE_ERROR, CLEAN):
            axes.axhline(bound, color=BLACK, linewidth=0.8, linestyle=":")
        own = data[data["measure"] == measure]
        if not own.empty:
            _response(axes, look_of(source.params.policies[policy]), own)
    figure.supxlabel(r"weight $\eta$ of the decoupled term (0 is MCE)", fontsize=8)
    says = "No seed has an evaluated run at every eta yet." if data.empty else outcome(runs, bound)
    return Drawn(figure, data, alt=_alt(data), says=says)


def _response(axes: Axes, look: Look, data: pd.DataFrame) -> None:
    """Draw the means as a line, their intervals as bars, and the seeds beside them."""
    doses = sorted(set(data["eta"]))
    axes.set_xticks(range(len(doses)), [shortest(value) for value in doses])
    place = data["eta"].map(doses.index)
    seeds, means = data["mark"] == SEED, data[data["mark"] == MEAN]
    axes.plot(place[seeds] + BESIDE, data.loc[seeds, "value"], color=look.color, label="seeds", **DOT)
    bars = [means["value"] - means["low"], means["high"] - means["value"]]
    line: dict[str, Any] = {"color": look.color, "marker": look.marker, "elinewidth": 1.0, "label": "mean"}
    axes.errorbar(place[means.index], means["value"], yerr=bars, **line)
    itself: dict[str, Any] = {"textcoords": "offset points", "va": "top", "fontsize": 7}
    axes.annotate(f"MCE {fixed(means['level'].iloc[0])}", (0, 0), (-4, -4), **itself)


def outcome(runs: pd.DataFrame, bound: float) -> str:
    """Return what came of the four predictions, each with its difference at the largest eta.

    Parameters
    ----------
    runs: as `measured` returns them. bound: see `dose`.
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


def _alt(data: pd.DataFrame) -> str:
    told = []
    for measure, own in data[data["mark"] == MEAN].groupby("measure", sort=False):
        at = zip(own["eta"], own["value"], strict=True)
        told.append(
            f"{LABELS[str(measure)]}: {', '.join(f'{signed(value)} at {shortest(eta)}' for eta, value in at)}"
        )
    return f"Four panels of differences from eta 0, by eta. {'; '.join(told) or 'Nothing yet'}."
