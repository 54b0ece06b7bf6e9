"""Paired gains: mean, spread, standard error and interval in closed form."""

import math

import pytest
from scipy import stats

from dmix.report.paired import paired


def test_closed_form():
    # Differences a - d, a, a + d: mean a, spread d, error d / sqrt(3), t of 2 degrees 4.302653.
    found = paired([1.0, 1.5, 2.0])
    assert (found.mean, found.std, found.n) == (1.5, 0.5, 3)
    assert found.error == pytest.approx(0.5 / math.sqrt(3))
    assert found.high - found.mean == pytest.approx(4.302652729911275 * 0.5 / math.sqrt(3))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_two_pairs_have_one_degree_of_freedom():
    found = paired([0.0, 1.0])
    assert (found.low, found.high) == (
        pytest.approx(0.5 - 12.706204736 / 2),
        pytest.approx(0.5 + 12.706204736 / 2),
    )


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_interval_is_that_of_scipy(n):
    values = [math.sin(index) for index in range(n)]
    found = paired(values)
    wanted = stats.t.interval(0.95, n - 1, loc=sum(values) / n, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(wanted)


def test_one_pair_has_no_interval_and_none_no_gain():
    found = paired([0.25])
    assert (found.mean, found.std, found.error, found.low, found.high, found.n) == (0.25, *[None] * 4, 1)
    assert paired([]) is None
