"""Measures of trained networks by the weight eta of the decoupled term, as differences from eta 0."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dmix.errors import DmixError
from dmix.mixed.linearity import share_error
from dmix.mixed.record import OWN, SHARES
from dmix.plot.source import Source
from dmix.report.dose import complete
from dmix.report.frame import DONE
from dmix.report.numbers import shortest
from dmix.report.paired import paired

DOSE = "objective.eta"
TOP2, MARGIN, SHARE_ERROR, CLEAN = "top2", "margin", "share_error", "clean"
MEASURES = (TOP2, MARGIN, SHARE_ERROR, CLEAN)
COLUMNS = ("measure", "eta", "mark", "seed", "n", "level", "value", "low", "high")
MEAN, SEED = "mean", "seed"


def measured(source: Source, share: float) -> pd.DataFrame:
    """Return policy, seed, eta and `MEASURES` of each run, which are missing until it is evaluated.

    Top-2 and margin are those of images that its own policy mixed with a share of the minor class
    (`dmix.mixed.record.AtShare`), the share error is the mean over all images that are mixed, and `clean` is
    the run's score. The margin is in logits, the others are percent.

    Parameters
    ----------
    share: weight of the minor class.

    Raises
    ------
    DmixError: mixed images are not counted at this weight.
    """
    if share not in SHARES:
        raise DmixError(
            f"figure {source.name}: mixed images are not counted at share {share}",
            f"choose of {', '.join(shortest(one) for one in SHARES)}",
        )
    rows = []
    for run in source.frame([DOSE]).to_dict("records"):
        found = source.mixed(run["name"]) if run["state"] == DONE else None
        mixing = found.mixings.get(OWN) if found is not None else None
        at = mixing.at_share(share) if mixing is not None else None
        error = share_error(mixing) if mixing is not None else None
        numbers: list[float | None] = [None] * len(MEASURES)
        if at is not None and error is not None:
            numbers = [at.top2_percent, at.margin, 100 * error, run["score"]]
        rows.append([run["policy"], run["seed"], run[DOSE], *numbers])
    data = pd.DataFrame(rows, columns=["policy", "seed", "eta", *MEASURES])
    return data.astype(dict.fromkeys(MEASURES, "float64"))


def by_dose(runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a measure: rows are the seeds that have it at every eta, columns eta, rising."""
    return complete(runs.pivot(index="seed", columns="eta", values=measure))


def responses(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each mark: of each measure and eta the mean over seeds, and every seed.

    Columns are `COLUMNS`. `level` is the measure, `value` its difference from the smallest eta, and `low` and
    `high` are the ends of the 95 % interval of a mean, missing with one seed.

    Parameters
    ----------
    runs: of one policy, as `measured` returns them.
    """
    rows: list[dict[str, Any]] = []
    for measure in MEASURES:
        values = by_dose(runs, measure)
        differences = values.sub(values.iloc[:, 0], axis=0)
        for eta in values.columns:
            here, mean = {"measure": measure, "eta": eta}, paired(differences[eta].tolist())
            if mean is None:
                continue
            numbers = {"level": values[eta].mean(), "value": mean.mean, "low": mean.low, "high": mean.high}
            rows.append(here | {"mark": MEAN, "n": mean.n} | numbers)
            if eta != values.columns[0]:
                rows += [
                    here | {"mark": SEED, "seed": seed, "level": values.at[seed, eta], "value": value}
                    for seed, value in differences[eta].items()
                ]
    data = pd.DataFrame(rows, columns=list(COLUMNS), dtype="object")
    numbers_of = dict.fromkeys(("eta", "level", "value", "low", "high"), "float64")
    return data.astype(numbers_of | {"n": "Int64", "seed": "Int64"})
