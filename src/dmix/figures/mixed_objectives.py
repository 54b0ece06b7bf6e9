"""Top-1 accuracy on mixed images as a dot plot: of each policy MCE against DM, for several ways of mixing."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from dmix.figures.mixed_frame import in_training, over_lam, policies_of, seeds_and_gaps
from dmix.figures.mixed_marks import entries, fill_of, legend, titled
from dmix.mixed.record import OWN
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import look_of
from dmix.report.numbers import fixed

PANELS: Mapping[str, str] = {OWN: "own policy", "mixup": "Mixup", "cutmix": "CutMix"}
COLUMNS = ["mixing", "policy", "objective", "seed", "top1"]


@part
def mixed_objectives(source: Source, *, row: float = 0.2) -> Drawn:
    """Draw a panel for each way of mixing, a row for each policy of the run; x is percent from 0.

    The own policy draws lam as in training. A common policy mixes with every lam of the sweep, and the mean
    over these is drawn, because runs that are compared need the same lam.

    Parameters
    ----------
    row: height of a policy in inches.
    """
    data = compared(source)
    policies = policies_of(source, data)
    figure = source.canvas(row * max(len(policies), 1) + 0.85)
    axes = figure.subplots(1, len(PANELS), sharex=True, sharey=True)
    for axis, (mixing, title) in zip(axes, PANELS.items(), strict=True):
        _panel(axis, source, data[data["mixing"] == mixing], policies)
        axis.set_title(f"mixed by {title}")
    axes[0].set_yticks(range(len(policies)), [source.title("policy", name) for name in policies])
    axes[0].set_ylim(max(len(policies), 1) - 0.5, -0.5)
    axes[0].set_xlim(0, 1.04 * axes[0].get_xlim()[1])  # a mark at the end is whole
    axes[1].set_xlabel("top-1 of mixed images (%)")
    legend(figure, entries(source, data["objective"]))
    return Drawn(figure, data, alt=_alt(source, data), says=seeds_and_gaps(source, data))


def compared(source: Source) -> pd.DataFrame:
    """Return mixing, policy, objective, seed and top1 (percent) of the evaluated runs."""
    own = in_training(source, OWN).assign(mixing=OWN)
    means = [
        over_lam(source, mixing)
        .groupby(["policy", "objective", "seed"], sort=False, as_index=False)["top1"]
        .mean()
        .assign(mixing=mixing)
        for mixing in PANELS
        if mixing != OWN
    ]
    return pd.DataFrame(pd.concat([own, *means], ignore_index=True), columns=COLUMNS)


def _panel(axis: Axes, source: Source, data: pd.DataFrame, policies: list[str]) -> None:
    """Draw the mean over seeds of each policy and objective, a line from one objective to the next."""
    axis.grid(visible=False, axis="y")
    for policy, runs in data.groupby("policy", sort=False):
        place, look = policies.index(str(policy)), look_of(source.params.policies[str(policy)])
        means = runs.groupby("objective", sort=False)["top1"].mean()
        axis.plot(means, [place] * len(means), "-", color=look.color, linewidth=0.8, zorder=1)
        axis.plot(runs["top1"], [place] * len(runs), "|", color=look.color, markersize=4, alpha=0.6, zorder=2)
        for objective, mean in means.items():
            axis.plot(
                *([mean], [place], look.marker),
                color=look.color,
                markerfacecolor=fill_of(str(objective), look.color),
                markersize=4.5,
                zorder=3,
            )


def _alt(source: Source, data: pd.DataFrame) -> str:
    told = (
        f"{titled(source, keys[1:])}, mixed by {PANELS[str(keys[0])]}, {fixed(runs['top1'].mean())}"
        for keys, runs in data.groupby(["mixing", "policy", "objective"], sort=False)
    )
    return f"Dot plots of Top-1 accuracy on mixed images, in percent. {'; '.join(told) or 'Nothing yet'}."
