"""The courses of runs: accuracy after each evaluation, from their histories."""

from __future__ import annotations

import pandas as pd

from dmix.plot.source import Source

AXES = ("dataset", "backbone", "policy", "objective")
COLUMNS = (*AXES, "seed", "epoch", "top1")


def courses(source: Source) -> pd.DataFrame:
    """Return one row for each evaluation of the finished runs: `AXES`, seed, epoch and top1 (percent).

    The accuracy is that of the run's primary predictor, which tables report.
    """
    found = [pd.DataFrame(columns=list(COLUMNS))]
    for run in source.finished().to_dict("records"):
        history = source.history(run["name"]).rename(columns={f"top1_{run['primary']}": "top1"})
        evaluated = history[history["top1"].notna()].astype({"epoch": "int64"})
        found.append(
            evaluated[["epoch", "top1"]].assign(**{key: run[key] for key in (*AXES, "seed")})[list(COLUMNS)]
        )
    return pd.concat(found[1:] or found, ignore_index=True)


def mean_course(runs: pd.DataFrame) -> pd.DataFrame:
    """Return mean, min and max of top1 over the seeds by epoch, where all of them were evaluated.

    A seed that lacks the last epochs would otherwise bend the mean there.
    """
    by_epoch = runs.groupby("epoch")
    complete = by_epoch["seed"].nunique() == runs["seed"].nunique()
    return by_epoch["top1"].agg(["mean", "min", "max"])[complete]
