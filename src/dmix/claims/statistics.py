"""Estimates of a difference from its seeds: mean, spread, p values, intervals.

The seed is the unit: runs of one seed share first weights, order of images, augmentation and labels, so each
cell gives one difference per seed. Epochs and test images are no replicates.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtr, stdtrit  # type: ignore[import-untyped]

LEVEL = 0.025
"""Largest one-sided p value that decides, half of what a 95 % interval leaves out."""
LEAST_POOLED = 4
LEVEL_NO_DIFFERENCE = 0.05
"""One-sided level of equivalence: the 90 % interval lies inside of the margin."""


@dataclass(frozen=True)
class Estimate:
    """A mean difference over `n` seeds and its sample standard deviation, both in the measure's unit.

    With one seed nothing is known of the spread: `std` is None, p values are 1 and there is no interval.
    """

    mean: float
    std: float | None
    n: int
    more_freedom: int = 0  # degrees of freedom of the spread beyond n - 1

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the spread."""
        return self.n - 1 + self.more_freedom

    def below(self, bound: float) -> float:
        """Return the one-sided p value of the hypothesis that the true mean is at most `bound`."""
        return self._tail(self.mean - bound)

    def above(self, bound: float) -> float:
        """Return the one-sided p value of the hypothesis that the true mean is at least `bound`."""
        return self._tail(bound - self.mean)

    def interval(self, confidence: float = 1 - 2 * LEVEL) -> tuple[float, float] | None:
        """Return the ends of Student's t interval; None for one seed."""
        if self.std is None:
            return None
        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.std / math.sqrt(self.n)
        return self.mean - half, self.mean + half

    def with_seeds(self, n: int) -> Estimate:
        """Return what `n` seeds would give if they had the same mean and spread."""
        return replace(self, n=max(n, self.n))

    def _tail(self, distance: float) -> float:
        if self.std is None:
            return 1.0
        if self.std == 0:
            return 0.5 if distance == 0 else float(distance < 0)
        return float(stdtr(self.freedom, -distance * math.sqrt(self.n) / self.std))


def estimate(differences: Sequence[float], least_std: float = 0.0) -> Estimate | None:
    """Return the estimate of `differences`, one for each seed; None without any.

    Parameters
    ----------
    least_std: spread that rounding to whole test images alone makes. Few seeds on a small test set often have
        equal differences, whose spread of zero would be taken for certainty.
    """
    if not differences:
        return None
    n = len(differences)
    std = max(statistics.stdev(differences), least_std) if n > 1 else None
    return Estimate(statistics.fmean(differences), std, n)


def moderated(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return the estimates of like cells, each with a spread that leans on the mean variance of all.

    The variance is (2 pooled + (n - 1) own) / (n + 1), with n + 1 degrees of freedom: narrower than the
    cell's own at few seeds. Where one cell is three times as noisy as the others its 95 % interval covers
    about 92 %, so it is for looking at single cells, and no verdict on several is made of it. Fewer than
    `LEAST_POOLED` cells, or cells of one seed, stay as they are.
    """
    stds = [each.std for each in estimates if each.std is not None]
    if len(stds) < LEAST_POOLED or len(stds) < len(estimates):
        return list(estimates)
    pooled = statistics.fmean(std**2 for std in stds)
    return [
        replace(each, std=math.sqrt((2 * pooled + (each.n - 1) * std**2) / (each.n + 1)), more_freedom=2)
        for each, std in zip(estimates, stds, strict=True)
    ]


def partial_conjunction(p_values: Sequence[float], least: int) -> float:
    """Return the p value of "fewer than `least` of these hypotheses are false".

    It is (m - least + 1) times the `least`-th smallest of the m p values (Benjamini and Heller, 2008, with
    Bonferroni's rule), valid under any dependence: with `least` = m the largest, with 1 Bonferroni's.
    """
    ordered = sorted(p_values)
    return min(1.0, (len(ordered) - least + 1) * ordered[least - 1])


def holm(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Return which hypotheses Holm's procedure rejects at a family-wise one-sided `level`."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected
