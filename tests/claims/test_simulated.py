"""In simulated sets of seeds intervals cover, false support is rare, and advice is right by its median."""

import bisect
import statistics

import numpy as np
import pytest

from dmix.claims.rules import evidence, of_cell, of_cells, seeds_to_decide
from dmix.claims.schema import Greater, Within
from dmix.claims.statistics import Estimate, estimate, holm, moderated, partial_conjunction

CELLS = 6
PAIRS = {"of": {"objective": "dm_ce"}, "over": {"objective": "mce"}}
GREATER = {
    across: Greater(rel="greater", across=across, **PAIRS) for across in ("mean", "all", "most", "some")
}


def errors(kind, sets, cells, seeds, generator):
    """Return errors of unit variance, or of standard deviations from 1 to 3, (sets, cells, seeds)."""
    found = generator.standard_normal((sets, cells, seeds))
    if kind == "unequal spreads":
        return found * np.geomspace(1, 3, cells)[None, :, None]
    if kind == "shared comparator":  # six policies against the same runs
        return (found + generator.standard_normal((sets, 1, seeds))) / np.sqrt(2)
    return found


KINDS = ("independent", "unequal spreads", "shared comparator")


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_interval_over_seed_means_covers(kind, seeds):
    means = errors(kind, 4000, CELLS, seeds, np.random.default_rng(1)).mean(1)
    intervals = [estimate(row).interval() for row in means.tolist()]
    assert 0.93 < np.mean([low < 0 < high for low, high in intervals]) < 0.97


def estimates_of(drawn):
    """Return the estimates of drawn differences (sets, cells, seeds): a list of cells for each set."""
    mean, std, n = drawn.mean(2), drawn.std(2, ddof=1), drawn.shape[2]
    return [
        [(Estimate(m, s, n),) for m, s in zip(*row, strict=True)]
        for row in zip(mean.tolist(), std.tolist(), strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("across", "true"), [("all", CELLS - 1), ("most", CELLS // 2), ("some", 0)])
def test_false_support_is_rare(kind, across, true):
    """The worst case: one cell fewer than claimed has a gain, a huge one, and the others have none at all.

    Exactly 2.5 % is then the rule's error; three standard errors of 2,500 sets are 0.9 %.
    """
    drawn = errors(kind, 2500, CELLS, 3, np.random.default_rng(2))
    drawn[:, :true] += 100.0  # the least noisy ones: the noisiest are without a gain
    words = [evidence(cells, GREATER[across]).word for cells in estimates_of(drawn)]
    assert words.count("supported") / len(words) < 0.025 + 0.009


@pytest.mark.parametrize("across", ["all", "most"])
def test_without_any_gain_false_support_is_rarer_still(across):
    drawn = errors("independent", 2500, CELLS, 3, np.random.default_rng(3))
    words = [evidence(cells, GREATER[across]).word for cells in estimates_of(drawn)]
    assert words.count("supported") / len(words) < 0.005


def test_true_claims_are_supported():
    drawn = errors("independent", 100, CELLS, 5, np.random.default_rng(4)) + 20.0
    for across in GREATER:
        cells = estimates_of(drawn) if across != "mean" else estimates_of(drawn.mean(1, keepdims=True))
        assert {evidence(each, GREATER[across]).word for each in cells} == {"supported"}


def test_one_moderated_cell_covers_where_spreads_are_alike_and_is_short_where_one_is_not():
    def coverage(drawn, cell):
        found = [moderated([each for (each,) in cells])[cell] for cells in estimates_of(drawn)]
        return np.mean([low < 0 < high for low, high in (each.interval() for each in found)])

    alike = errors("independent", 2500, CELLS, 3, np.random.default_rng(5))
    assert 0.94 < coverage(alike, 0) < 0.985
    assert (
        0.90 < coverage(errors("unequal spreads", 2500, CELLS, 3, np.random.default_rng(5)), CELLS - 1) < 0.94
    )


def decided_in_half(effect, cells, comparison, most=60):
    """Return the least number of seeds at which half of the simulated sets are decided, by bisection."""

    def decides(seeds):
        drawn = np.random.default_rng(6).standard_normal((200, cells, seeds)) + effect
        words = [evidence(each, comparison).word for each in estimates_of(drawn)]
        return words.count("undecided") <= len(words) / 2

    return bisect.bisect_left(range(most), True, lo=2, key=decides)


@pytest.mark.parametrize(
    ("effect", "cells", "comparison"),
    [
        (0.8, 1, GREATER["mean"]),
        (0.5, 1, GREATER["mean"]),
        (1.0, 4, GREATER["most"]),
        (2.0, 4, GREATER["all"]),
        (-0.9, 4, GREATER["all"]),
        (1.0, 1, Within(rel="within", lo=0.0, hi=2.0, delta=0.0, **PAIRS)),
    ],
)
@pytest.mark.parametrize("seeds", [3, 5])
def test_advised_seeds_are_right_within_a_factor_of_two(effect, cells, comparison, seeds):
    truth = decided_in_half(effect, cells, comparison)
    drawn = np.random.default_rng(7).standard_normal((101, cells, seeds)) + effect
    advised = [seeds_to_decide(each, comparison, 60) or 61 for each in estimates_of(drawn)]
    if truth > seeds:  # advice is of more seeds than there are
        assert 0.5 <= statistics.median(advised) / truth <= 2.0, (statistics.median(advised), truth)
    else:
        assert statistics.median(advised) <= 2 * seeds


def test_partial_conjunction_by_hand():
    p = [0.04, 0.001, 0.02, 0.3]
    assert partial_conjunction(p, 1) == pytest.approx(4 * 0.001)
    assert partial_conjunction(p, 2) == pytest.approx(3 * 0.02)
    assert partial_conjunction(p, 3) == pytest.approx(2 * 0.04)
    assert partial_conjunction(p, 4) == pytest.approx(0.3)
    assert partial_conjunction([0.9, 0.8], 1) == 1.0


def test_holm_by_hand():
    assert holm([0.02, 0.001, 0.012, 0.5]) == [False, True, False, False]  # 0.012 > 0.025 / 3
    assert holm([0.02, 0.001, 0.008, 0.5]) == [False, True, True, False]
    assert holm([]) == []


def test_an_estimate_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    low, high = found.interval()
    assert (found.mean, found.std, found.n) == (2.0, 1.0, 3)
    assert high - 2 == pytest.approx(4.302653 / 3**0.5)  # t(0.975, 2) / sqrt(3)
    assert 2 - low == pytest.approx(high - 2)
    assert found.below(low) == pytest.approx(0.025)
    assert found.above(high) == pytest.approx(0.025)
    assert estimate([]) is None
    assert estimate([1.0]).interval() is None
    assert (estimate([1.0]).below(0.0), estimate([1.0]).above(0.0)) == (1.0, 1.0)


def test_a_cell_of_several_contrasts_is_as_weak_as_its_weakest():
    strong, weak = Estimate(5.0, 1.0, 5), Estimate(1.0, 1.0, 5)
    both = of_cell((strong, weak), GREATER["all"])
    assert both.for_it == of_cell((weak,), GREATER["all"]).for_it
    assert of_cell((strong, None), GREATER["all"]).for_it == 1.0
    assert of_cells([both], "all") == both._replace(no_difference=False)
