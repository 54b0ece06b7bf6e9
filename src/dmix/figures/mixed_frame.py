"""The accuracies on mixed test images of a figure's runs as data frames; read by several forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from dmix.mixed.record import OWN, Counts, Mixing
from dmix.plot.source import Source

RUN = ["policy", "objective", "seed"]
MEASURES = ["pairs", "top1", "top2", "lam", "share"]


def in_training(source: Source, mixing: str) -> pd.DataFrame:
    """Return one row for each evaluated run, mixed by `mixing` with lam as drawn in its training.

    Columns are policy, objective, seed, pairs, top1 and top2 (percent), lam and share (means in [0, 1]).
    """
    rows = [
        [*run, *_measures(found.training)]
        for run, found in _evaluated(source, mixing)
        if found.training is not None
    ]
    return pd.DataFrame(rows, columns=[*RUN, *MEASURES])


def over_lam(source: Source, mixing: str) -> pd.DataFrame:
    """Return one row for each evaluated run and lam of the sweep; `nominal` is the lam that was asked for.

    The other columns are those of `in_training`.
    """
    rows = [
        [*run, point.nominal, *_measures(point)]
        for run, found in _evaluated(source, mixing)
        for point in found.sweep
    ]
    return pd.DataFrame(rows, columns=[*RUN, "nominal", *MEASURES])


def seeds_and_gaps(source: Source, data: pd.DataFrame, mixing: str = "") -> str:
    """Return the numbers of seeds and of finished runs that are not evaluated, as sentences for the caption.

    Parameters
    ----------
    data: with a row for each evaluated run. mixing: "own" leaves out runs that have no policy of their own.
    """
    if data.empty:
        return "No run is evaluated yet."
    names = [name for name in source.finished()["name"] if mixing != OWN or _mixes(source, name)]
    there = {tuple(run) for run in data[RUN].to_numpy().tolist()}
    missing = sum(tuple(_run(source, name)) not in there for name in names)
    gaps = f" {missing} of {len(names)} finished runs are not evaluated yet." if missing else ""
    return f"Seeds: {data['seed'].nunique()}.{gaps}"


def _mixes(source: Source, name: str) -> bool:
    return source.params.policies[source.grid.runs[name].axes["policy"]].kind != "none"


def policies_of(source: Source, data: pd.DataFrame) -> list[str]:
    """Return the policies of `data` in the order of `params.yaml`."""
    there = set(data["policy"])
    return [name for name in source.params.policies if name in there]


def _evaluated(source: Source, mixing: str) -> Iterator[tuple[list[Any], Mixing]]:
    """Yield policy, objective and seed of each evaluated run that has the mixing, and its accuracies."""
    for name in source.finished()["name"]:
        found = source.mixed(name)
        if found is not None and mixing in found.mixings:
            yield _run(source, name), found.mixings[mixing]


def _run(source: Source, name: str) -> list[Any]:
    spec = source.grid.runs[name]
    return [spec.axes["policy"], spec.axes["objective"], spec.seed]


def _measures(counts: Counts) -> list[float | None]:
    return [counts.pairs, counts.top1_percent, counts.top2_percent, counts.lam, counts.share]
