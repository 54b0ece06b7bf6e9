"""The statistic of docs/preregistration.md: closed forms, scipy's t test, and the rate of false words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dmix.report.dose import against_none, complete, rises, stays_below, trend

DOSES = (0.0, 0.1, 0.3, 1.0)
SEEDS = 8


def table(*rows, doses=DOSES):
    return pd.DataFrame(list(rows), columns=list(doses), dtype="float64")


def noisy(means, rng, spread=1.0):
    """Eight seeds with these means, and errors of the seed and of the run."""
    errors = 3 * rng.standard_normal((SEEDS, 1)) + spread * rng.standard_normal((SEEDS, len(means)))
    return pd.DataFrame(np.asarray(means) + errors, columns=list(DOSES))


def exact(means, spread=0.1):
    """Eight seeds with exactly these means, whose differences spread by a fixed pattern."""
    pattern = np.sin(np.arange(1.0, 1 + SEEDS * len(means))).reshape(SEEDS, len(means))
    return pd.DataFrame(np.asarray(means) + spread * (pattern - pattern.mean(0)), columns=list(DOSES))


def test_differences_and_slope_in_closed_form():
    # Lines of slope 1 and 2 and one of slope 3 with a bend that least squares does not see.
    values = table([0, 1, 2, 3], [5, 7, 9, 11], [0, 3 + 1, 6 + 1, 9])
    assert [one.mean for one in against_none(values)] == pytest.approx([7 / 3, 13 / 3, 6])
    slope = trend(values)
    assert (slope.mean, slope.std, slope.n) == (pytest.approx(2), pytest.approx(1), 3)
    # Student's t with 2 degrees, 4.302653, times 1 / sqrt(3)
    assert slope.low == pytest.approx(2 - 4.302652729911275 / 3**0.5)


def test_the_slope_is_that_of_scipys_regression_on_ranks():
    values = noisy([0, 1, 1, 4], np.random.default_rng(0))
    slopes = [stats.linregress(range(4), row).slope for row in values.to_numpy()]
    assert trend(values).mean == pytest.approx(np.mean(slopes))
    assert trend(values).std == pytest.approx(np.std(slopes, ddof=1))


def test_only_seeds_with_every_dose_count_and_doses_may_come_in_any_order():
    values = table([0, 1, 2, 3], [0, np.nan, 2, 3], [0, 2, 3, 5])
    assert complete(values[[1.0, 0.0, 0.3, 0.1]]).equals(complete(values))
    assert list(complete(values).index) == [0, 2]
    assert [one.n for one in against_none(values)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("means", "word"),
    [
        ([0, 1, 2, 3], "supported"),
        ([0, 1, 1, 1], "supported"),  # saturated: above none at every dose, and rising on average
        ([0, 0, 2, 3], "undecided"),  # the smallest dose does nothing
        ([0, 9, 3, 1], "contradicted"),  # every dose above none, but falling
        ([0, -1, 2, 3], "contradicted"),
        ([0, 0, 0, 0], "undecided"),
    ],
)
def test_words_of_a_rise(means, word):
    judged = rises(exact(means))
    assert judged.word == word
    assert judged.most.mean == pytest.approx(means[-1])


@pytest.mark.parametrize(
    ("means", "word"),
    [
        ([0, 1, 1, 1], "supported"),
        ([0, -9, -9, -9], "supported"),
        ([0, 1, 1, 2], "undecided"),
        ([0, 0, 3, 0], "contradicted"),
    ],
)
def test_words_of_a_bound(means, word):
    assert stays_below(exact(means), 2.0).word == word


def test_words_follow_from_one_sided_t_tests():
    rng, words = np.random.default_rng(1), set()
    for _ in range(100):
        values = noisy(rng.choice([0.0, 0.8, 1.6, 3.0], size=4), rng)
        numbers = values.to_numpy()
        differences = (numbers[:, 1:] - numbers[:, :1]).T
        slope = numbers @ [-0.3, -0.1, 0.1, 0.3]
        for judged, columns, bound, sign in (
            (rises(values), [*differences, slope], 0.0, "greater"),
            (stays_below(values, 2.0), list(differences), 2.0, "less"),
        ):
            for_it = [stats.ttest_1samp(column, bound, alternative=sign).pvalue for column in columns]
            against = min(1 - p for p in for_it) * len(columns)
            expected = (
                "supported" if max(for_it) < 0.025 else "contradicted" if against < 0.025 else "undecided"
            )
            assert judged.word == expected
            words.add((sign, judged.word))
    assert len(words) == 6


@pytest.mark.parametrize("values", [table([0, 1, 2, 3]), table([0, np.nan, 1, 2]), table()])
def test_fewer_than_two_seeds_decide_nothing(values):
    assert rises(values).word == stays_below(values, 2.0).word == "undecided"
    assert (rises(values).most is None) == complete(values).empty


def test_differences_without_spread_are_decided_by_their_sign():
    up = table(*[[seed, seed + 1, seed + 2, seed + 3] for seed in range(3)])
    assert rises(up).word == "supported"
    assert rises(-up).word == "contradicted"
    assert stays_below(up, 3.5).word == "supported"


@pytest.mark.slow
def test_a_false_word_is_rare():
    """At the edges: one dose that does nothing, and one that reaches the bound; all others are clear."""
    rng, sets = np.random.default_rng(2), 1500
    false_rise = sum(rises(noisy([0, 0, 20, 40], rng)).word == "supported" for _ in range(sets))
    false_bound = sum(stays_below(noisy([0, 2, -20, -20], rng), 2.0).word == "supported" for _ in range(sets))
    false_against = sum(rises(noisy([0, 0, 0, 0], rng)).word == "contradicted" for _ in range(sets))
    for false in (false_rise, false_bound):
        assert 0.013 < false / sets < 0.037  # 2.5 %, with three standard errors
    assert false_against / sets < 0.037
