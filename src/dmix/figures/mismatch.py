"""Label mismatch per policy: the distribution of (true share - lam) over many pairs of test images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Gt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dmix.data.sets.dataset import Dataset
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.grid.spec import RunSpec
from dmix.part import part
from dmix.plot.source import Drawn, Source
from dmix.plot.style import LOOKS, look_of
from dmix.show.mismatch import mismatches
from dmix.show.policies import build
from dmix.show.rows import knows_objects

COLUMNS = ["policy", "alpha", "trained", "pairs", "mean_abs", "mean", "level", "mismatch"]

NOTHING = "No data set with known objects is on this machine."


@part
def mismatch(
    source: Source,
    *,
    batches: Annotated[int, Gt(0)],
    pairs: Annotated[int, Gt(0)],
    dots: Annotated[int, Gt(0)] = 20,
    height: float = 2.5,
) -> Drawn:
    """Draw a row of quantiles for each policy, sorted by the mean of abs(share - lam).

    The data set is the first of the figure's runs that is there and whose objects are known.

    Parameters
    ----------
    batches, pairs: `batches` times `pairs` pairs are mixed by each policy. dots: quantiles of a row.
    height: in inches.
    """
    choose_device("cpu")
    found = _with_objects(source)
    if found is None:
        return _empty(source, height)
    frames, left_out = [], []
    for policy, spec in found.specs.items():
        try:
            built = build(source.grid, spec.name, found.dataset, source.runs_root)
            of_pairs = mismatches(built, spec, found.dataset, source.data_root, batches=batches, pairs=pairs)
        except DmixError as error:
            left_out.append(f"{source.title('policy', policy)} is left out: {error.message}.")
            continue
        trained = built.trained or source.params.policies[policy].kind != "dynamic"
        alpha = spec.settings["policy"]["alpha"]
        frames.append(
            quantiles(of_pairs["mismatch"], dots).assign(policy=policy, alpha=alpha, trained=trained)
        )
    if not frames:
        return _empty(source, height)
    data = pd.concat(frames).sort_values(["mean_abs", "policy", "level"], ignore_index=True)[COLUMNS]
    figure = source.canvas(height)
    _draw(figure.subplots(), source, data)
    title = source.title("dataset", found.name)
    says = f"{title} ({found.dataset.edition} edition), {batches * pairs:,} pairs of test images per policy."
    return Drawn(
        figure, data, alt=_alt(source, data), says=" ".join((says, *_notes(source, data), *left_out))
    )


def _empty(source: Source, height: float) -> Drawn:
    figure = source.canvas(height)
    figure.text(0.5, 0.5, NOTHING, ha="center", va="center")
    return Drawn(figure, pd.DataFrame(columns=COLUMNS), alt=NOTHING, says=NOTHING)


@dataclass(frozen=True)
class Found:
    """A data set with known objects, and policy -> the run that mixes its images."""

    name: str
    dataset: Dataset
    specs: Mapping[str, RunSpec]


def _with_objects(source: Source) -> Found | None:
    """Return the first data set of the figure's runs that is there and whose objects are known."""
    specs: dict[str, dict[str, RunSpec]] = {}
    for name in source.runs:
        spec = source.grid.runs[name]
        if source.params.policies[spec.axes["policy"]].kind != "none" and not source.grid.missing(name):
            specs.setdefault(spec.axes["dataset"], {}).setdefault(spec.axes["policy"], spec)
    for name, policies in specs.items():
        try:
            dataset = load_dataset(next(iter(policies.values())), source.data_root)
        except DmixError:
            continue  # not on this machine
        if knows_objects(dataset, source.data_root):
            return Found(name, dataset, policies)
    return None


def quantiles(values: pd.Series[float], dots: int) -> pd.DataFrame:
    """Return `dots` quantiles, in the middle of equal parts of the pairs; the means stand in each row.

    Columns: pairs (with a known share), mean_abs, mean, level, mismatch.
    """
    known = values.dropna().to_numpy()
    level = (np.arange(dots) + 0.5) / dots
    shown = np.quantile(known, level) if len(known) else np.full(dots, np.nan)
    return pd.DataFrame(
        {
            "pairs": len(known),
            "mean_abs": float(np.abs(known).mean()) if len(known) else np.nan,
            "mean": float(known.mean()) if len(known) else np.nan,
            "level": level,
            "mismatch": shown,
        }
    )


def _draw(axis: Axes, source: Source, data: pd.DataFrame) -> None:
    policies = list(dict.fromkeys(data["policy"]))
    axis.axvline(0, color="black", linewidth=0.8)
    for row, policy in enumerate(policies):
        of_policy = data[data["policy"] == policy]
        look = look_of(source.params.policies[policy])
        x = of_policy["mismatch"].to_numpy()
        axis.plot(
            *(x, np.full(len(x), row), look.marker),
            color=look.color,
            markersize=3.6,
            markerfacecolor="none",
            markeredgewidth=0.8,
        )
        axis.plot(of_policy["mean"].iloc[0], row, "|", color="black", markersize=9, markeredgewidth=1.4)
        axis.text(
            1.02,
            row,
            f"{of_policy['mean_abs'].iloc[0]:.3f}",
            transform=axis.get_yaxis_transform(),
            va="center",
            fontsize=7,
        )
    axis.text(
        1.02, -1, r"mean |share $-\ \lambda$|", transform=axis.get_yaxis_transform(), va="center", fontsize=7
    )
    axis.set_yticks(range(len(policies)), [_title(source, data, policy) for policy in policies])
    axis.set_ylim(len(policies) - 0.5, -0.6)
    widest = float(data["mismatch"].abs().max())
    axis.set_xlim(-1.05 * widest, 1.05 * widest)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(r"true share of the own object $-\ \lambda$")
    kinds = {kind: look for kind, look in LOOKS.items() if kind != "none"}
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linestyle="", markerfacecolor="none", label=kind)
        for kind, look in kinds.items()
    ]
    axis.figure.legend(handles=handles, loc="outside upper left", ncols=3)


def _title(source: Source, data: pd.DataFrame, policy: str) -> str:
    first = data[data["policy"] == policy].iloc[0]
    mark = "" if first["trained"] else " (untrained)"
    return rf"{source.title('policy', policy)}{mark}, $\alpha$ = {first['alpha']:g}"


def _notes(source: Source, data: pd.DataFrame) -> list[str]:
    """Return what is said of policies with pairs whose share is not known."""
    first = data.drop_duplicates("policy")
    fewer = first[first["pairs"] < first["pairs"].max()]
    return [
        f"Of {source.title('policy', row['policy'])}, the {row['pairs']:,} that it mixes as images."
        for row in fewer.to_dict("records")
    ]


def _alt(source: Source, data: pd.DataFrame) -> str:
    means = ", ".join(
        f"{source.title('policy', row['policy'])} {row['mean_abs']:.3f}"
        for row in data.drop_duplicates("policy").to_dict("records")
    )
    return (
        f"Rows of quantiles of true share minus lam, a row for each policy. Mean absolute mismatch: {means}."
    )
