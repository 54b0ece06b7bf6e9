"""From estimates to a word: the p values for and against a claim, by its relation and its strength.

A p value *for* a claim is that of its negation, one *against* it that of the claim; 2.5 % decides. A cell is
one list of estimates, one for each contrast, oriented so that the claim is "above the bound". Missing
evidence has the p value 1 both ways, so it decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from dmix.claims.schema import Argmax, AtLeast, Close, Comparison, Greater, Ordering, Ratio, Within
from dmix.claims.statistics import LEVEL, LEVEL_NO_DIFFERENCE, Estimate, partial_conjunction

Word = Literal["supported", "contradicted", "undecided", "not run"]
Estimates = Sequence[Estimate | None]


class Evidence(NamedTuple):
    """One-sided p values for and against a claim, or one cell of it."""

    for_it: float
    against_it: float
    no_difference: bool = False

    @property
    def word(self) -> Word:
        """The verdict at 2.5 % a side; a mean that is shown to be no difference worth naming contradicts."""
        if self.for_it <= LEVEL:
            return "supported"
        return "contradicted" if self.against_it <= LEVEL or self.no_difference else "undecided"


def bounds(comparison: Comparison) -> tuple[float, float]:
    """Return the ends between which the difference lies if the claim is true; of a ratio, its logarithm.

    A ratio of at most b is the difference log b - log(ratio) above zero, so that it is above its bound too.
    """
    if isinstance(comparison, AtLeast):
        return -comparison.margin, math.inf
    if isinstance(comparison, Within):
        return comparison.lo - comparison.delta, comparison.hi + comparison.delta
    if isinstance(comparison, Close):
        return -comparison.margin, comparison.margin
    if isinstance(comparison, Ratio):
        log = math.log(comparison.bound)
        return (log, math.inf) if comparison.rel == "ratio_at_least" else (-math.inf, log)
    return 0.0, math.inf


def of_cell(estimates: Estimates, comparison: Comparison) -> Evidence:
    """Return the evidence on one cell: for it every contrast speaks, against it one (Bonferroni)."""
    low, high = bounds(comparison)
    known = [each for each in estimates if each is not None]
    if not known:
        return Evidence(1.0, 1.0)
    for_it = max(max(each.below(low), each.above(high)) for each in known)
    against = min(min(each.above(low), each.below(high)) for each in known)
    # A contrast without runs might be on the wrong side.
    return Evidence(for_it if len(known) == len(estimates) else 1.0, min(1.0, len(estimates) * against))


def of_mean(estimates: Estimates, comparison: Comparison) -> Evidence:
    """Return the evidence on the mean over all cells."""
    found = of_cell(estimates, comparison)
    if isinstance(comparison, Greater) and (only := estimates[0]) is not None:
        inside = max(only.below(-comparison.delta), only.above(comparison.delta))
        return found._replace(no_difference=inside <= LEVEL_NO_DIFFERENCE)
    return found


def least_true(across: str, cells: int) -> int:
    """Return of how many cells a claim must be true: of all, of more than half, of one."""
    return {"all": cells, "most": cells // 2 + 1, "some": 1}[across]


def of_cells(cells: Sequence[Evidence], across: str) -> Evidence:
    """Return the evidence on a claim of all, most or some cells, valid under any dependence between them."""
    least = least_true(across, len(cells))
    return Evidence(
        partial_conjunction([cell.for_it for cell in cells], least),
        partial_conjunction([cell.against_it for cell in cells], len(cells) - least + 1),
    )


def evidence(cells: Sequence[Estimates], comparison: Comparison) -> Evidence:
    """Return the evidence on a claim from its cells; of a mean, `cells` has the mean alone."""
    across = getattr(comparison, "across", "all")
    if across == "mean":
        return of_mean(cells[0], comparison)
    return of_cells([of_cell(each, comparison) for each in cells], across)


def seeds_to_decide(cells: Sequence[Estimates], comparison: Comparison, most: int = 50) -> int | None:
    """Return the least number of seeds that would decide if means and spreads stay; None beyond `most`.

    With few seeds a sample spread is more often too small than too large, so it is divided by its median in
    units of the true one: half of such advice is too low, half too high.
    """
    known = [each for cell in cells for each in cell if each is not None]
    if not known or any(each.std is None for each in known):
        return None
    for n in range(max(2, min(each.n for each in known)), most + 1):
        scaled = [[_median_spread(each).with_seeds(n) if each else None for each in cell] for cell in cells]
        if evidence(scaled, comparison).word != "undecided":
            return n
    return None


def _median_spread(found: Estimate) -> Estimate:
    """Return the estimate with its spread corrected to be right in the median (Wilson and Hilferty, 1931)."""
    assert found.std is not None
    median = math.sqrt((1 - 2 / (9 * (found.n - 1))) ** 3)
    return replace(found, std=found.std / median)


def is_multiple(comparison: Comparison) -> bool:
    """Return whether a cell has several contrasts: rivals, or steps of an order."""
    best = isinstance(comparison, Greater) and comparison.against == "best"
    return best or isinstance(comparison, Argmax | Ordering)
