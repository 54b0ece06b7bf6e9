"""Judges two predictions of a response by dose, paired by seed: that it rises, and that it stays low.

The rules are those of docs/preregistration.md. Each word is wrong with a probability of at most 2.5 %, for
normal errors, however the doses are correlated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # type: ignore[import-untyped]

from dmix.report.paired import Paired, paired

ERROR = 0.025
"""Probability of a wrong word, on one side."""

Word = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class Judged:
    """The word for a prediction, and the difference of the largest dose from the smallest one.

    `most` has its 95 % interval; without any complete seed it is None.
    """

    word: Word
    most: Paired | None


def complete(values: pd.DataFrame) -> pd.DataFrame:
    """Return the seeds that have a value at every dose, with the doses in rising order.

    Parameters
    ----------
    values: rows are seeds, columns doses, two or more; a missing value is NaN.
    """
    return values.sort_index(axis=1).dropna()


def trend(values: pd.DataFrame) -> Paired | None:
    """Return the slope of each seed's least-squares line over the rank of the dose: 0, 1, 2, ...

    It is in units of the response for one step of dose; None without a complete seed.

    Parameters
    ----------
    values: see `complete`.
    """
    there = complete(values)
    rank = np.arange(there.shape[1]) - (there.shape[1] - 1) / 2
    return paired((there.to_numpy() @ rank / (rank @ rank)).tolist())


def against_none(values: pd.DataFrame) -> tuple[Paired, ...]:
    """Return the difference of each dose from the smallest one; () without a complete seed.

    Parameters
    ----------
    values: see `complete`.
    """
    there = complete(values)
    none, *doses = there.columns
    found = (paired((there[one] - there[none]).tolist()) for one in doses)
    return tuple(one for one in found if one is not None)


def rises(values: pd.DataFrame) -> Judged:
    """Judge that every dose raises the response over the smallest dose, and more so the larger it is.

    Supported: the 95 % intervals of all differences from the smallest dose, and of the slope over the rank of
    the dose, lie above 0. Contradicted: one of them lies below 0 at a level that allows for their number
    (Bonferroni).

    Parameters
    ----------
    values: see `complete`.
    """
    slope = trend(values)
    found = (*against_none(values), slope) if slope else ()
    return _judged(values, _word([-one.mean for one in found], found, 0.0))


def stays_below(values: pd.DataFrame, bound: float) -> Judged:
    """Judge that no dose raises the response by `bound` or more over the smallest dose.

    Supported: the 95 % interval of every difference lies below `bound`. Contradicted: that of some lies above
    it at a level that allows for their number (Bonferroni).

    Parameters
    ----------
    values: see `complete`. bound: in units of the response.
    """
    found = against_none(values)
    return _judged(values, _word([one.mean for one in found], found, bound))


def _judged(values: pd.DataFrame, word: Word) -> Judged:
    found = against_none(values)
    return Judged(word, found[-1] if found else None)


def _word(means: Sequence[float], found: Sequence[Paired], bound: float) -> Word:
    """Return whether all `means` lie below `bound`, one lies above it, or neither can be said."""
    halves = [_half(one, ERROR) for one in found]
    corrected = [_half(one, ERROR / len(found)) for one in found]
    if found and all(mean + half < bound for mean, half in zip(means, halves, strict=True)):
        return "supported"
    if any(mean - half > bound for mean, half in zip(means, corrected, strict=True)):
        return "contradicted"
    return "undecided"


def _half(difference: Paired, error: float) -> float:
    """Return half the width of the interval that leaves out `error` on each side, by Student's t."""
    if difference.error is None:
        return math.inf  # one seed says nothing of the spread
    return float(stdtrit(difference.n - 1, 1 - error)) * difference.error
