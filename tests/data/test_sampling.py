"""Samples of endless streams: functions of seed and step alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from dmix.data.loading import epochs
from dmix.data.loading.sampling import Samples, Shuffled, WithReplacement
from dmix.errors import DmixError

ROWS = np.array([3, 5, 8, 13, 21, 34, 55, 89, 144, 233])
KINDS = [Shuffled, WithReplacement]


def indices(sampler, steps) -> list[int]:
    return [index for step in steps for index in sampler(step).index.tolist()]


def assert_same(one: Samples, other: Samples) -> None:
    np.testing.assert_array_equal(one.index, other.index)
    np.testing.assert_array_equal(one.rng_key, other.rng_key)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_depends_on_seed_and_step_alone(kind):
    sampler = kind(ROWS, 4, 7)
    in_order = [sampler(step) for step in range(12)]
    for step in (11, 0, 7, 8, 8, 3):
        assert_same(sampler(step), in_order[step])
        assert_same(kind(ROWS, 4, 7)(step), in_order[step])
    assert indices(sampler, range(12)) != indices(kind(ROWS, 4, 8), range(12))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_rows_and_each_use_is_another(kind):
    drawn = [kind(ROWS, 4, 7)(step) for step in range(50)]
    for each in drawn:
        assert each.index.dtype == each.rng_key.dtype == np.int64
        assert each.index.shape == (4,)
        assert each.rng_key.shape == (4, 2)
        assert set(each.index.tolist()) <= set(ROWS.tolist())
    uses = np.concatenate([each.rng_key for each in drawn])
    assert len(np.unique(uses, axis=0)) == 200


def test_shuffled_takes_everything_before_anything_comes_again():
    sampler = Shuffled(ROWS, 5, 7)
    for round_ in range(4):
        found = indices(sampler, (2 * round_, 2 * round_ + 1))
        assert sorted(found) == ROWS.tolist()
        assert found == ROWS[epochs.order(10, 7, round_)].tolist()
        assert sampler(2 * round_).rng_key.tolist() == [[round_, index] for index in found[:5]]
    assert indices(sampler, (0, 1)) != indices(sampler, (2, 3))


def test_shuffled_leaves_out_what_fills_no_batch_and_never_ends():
    sampler = Shuffled(ROWS, 4, 7)
    rounds = [indices(sampler, (2 * number, 2 * number + 1)) for number in range(300)]
    assert {len(set(found)) for found in rounds} == {8}
    left_out = [index for found in rounds for index in set(ROWS.tolist()) - set(found)]
    assert set(left_out) == set(ROWS.tolist())  # others each time
    assert len(sampler(10**9).index) == 4


def test_shuffled_needs_a_batch():
    assert len(Shuffled(ROWS, 10, 0)(3).index) == 10
    with pytest.raises(DmixError, match="batch_size is 11"):
        Shuffled(ROWS, 11, 0)


def test_with_replacement_is_uniform_over_its_rows():
    found = indices(WithReplacement(ROWS, 50, 11), range(400))
    counts = [found.count(row) for row in ROWS.tolist()]
    assert sum(counts) == 20000
    assert 0.01 < stats.chisquare(counts).pvalue < 0.99
    # steps have nothing to do with one another
    first = np.array([WithReplacement(ROWS, 1, 11)(step).index[0] for step in range(4001)])
    _, places = np.unique(first, return_inverse=True)
    pairs = np.bincount(places[:-1] * 10 + places[1:], minlength=100)
    assert 0.01 < stats.chisquare(pairs).pvalue < 0.99


def test_with_replacement_takes_more_than_there_is():
    drawn = WithReplacement(ROWS[:2], 64, 0)(5)
    assert set(drawn.index.tolist()) == {3, 5}
    assert drawn.rng_key.tolist() == [[5, place] for place in range(64)]


@pytest.mark.parametrize("kind", KINDS)
def test_streams_of_other_seeds_have_nothing_in_common(kind):
    one, other = (np.array(indices(kind(ROWS, 5, seed), range(400))) for seed in (1, 2))
    table = np.zeros((10, 10), int)
    np.add.at(table, (np.searchsorted(ROWS, one), np.searchsorted(ROWS, other)), 1)
    assert stats.chi2_contingency(table).pvalue > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_memory_does_not_grow_with_the_number_of_steps(kind):
    sampler = kind(np.arange(1000), 448, 0)

    def peak(steps) -> int:
        tracemalloc.start()
        for step in steps:
            sampler(step)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(range(2))  # what the first call imports and keeps
    few = peak(range(10))
    assert peak(range(0, 2**20, 997)) < 2 * few
    assert few < 2**20  # a list of all indices to come would be 448 * 2**20
