"""Summarises differences paired by seed: mean, spread, standard error, 95 % interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit  # type: ignore[import-untyped]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Paired:
    """The mean of paired differences, in points of accuracy, and how well it is known.

    Attributes
    ----------
    mean: of the differences.
    std: their sample standard deviation (n - 1).
    error: the standard error of the mean, std / sqrt(n).
    low, high: the 95 % interval of the mean, by Student's t with n - 1 degrees of freedom.
    n: number of pairs.

    With one pair there is no spread: `std`, `error`, `low` and `high` are None.
    """

    mean: float
    std: float | None
    error: float | None
    low: float | None
    high: float | None
    n: int


def paired(differences: Sequence[float]) -> Paired | None:
    """Return the summary of `differences`, one for each pair; None without any."""
    n = len(differences)
    if not n:
        return None
    mean = statistics.fmean(differences)
    if n == 1:
        return Paired(mean, None, None, None, None, n)
    std = statistics.stdev(differences)
    error = std / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
    return Paired(mean, std, error, mean - half, mean + half, n)
