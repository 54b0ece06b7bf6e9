"""The pairs: every image once own and once partner, never of one class, the same for every run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincinv

from dmix.engine.seeding import host_generator
from dmix.mixed.draws import PlannedDraws, at_quantile, exactly, stratified
from dmix.mixed.pairs import FEWEST_BLOCKS, MOST_IMAGES, SMALLEST_BLOCK, block_size, draw_pairs, draw_partners


def rng(seed=0):
    return host_generator(seed, "test")


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=40).filter(
        lambda labels: 2 * max(labels.count(each) for each in labels) <= len(labels)
    ),
    st.integers(0, 2**32),
)
def test_no_partner_is_of_the_same_class_where_that_is_possible(labels, seed):
    labels = np.array(labels)
    partner = draw_partners(labels, rng(seed))
    assert sorted(partner.tolist()) == list(range(len(labels)))
    assert (labels != labels[partner]).all()


def test_where_most_images_are_of_one_class_as_many_as_possible_have_another():
    labels = np.array([1, 1, 1, 1, 0])
    partner = draw_partners(labels, rng())
    assert sorted(partner.tolist()) == list(range(5))
    assert (labels != labels[partner]).sum() <= 2


@pytest.mark.parametrize("images", [2, 3, 5, 31, 100, 250, 1000, 10_000, 50_000])
def test_blocks_cover_the_split_once_and_the_last_is_no_splinter(images):
    size = block_size(images)
    last = images % size or size
    assert 2 * last >= size
    assert size <= 1.1 * MOST_IMAGES
    assert -(-images // size) >= min(FEWEST_BLOCKS, images // SMALLEST_BLOCK) - 1
    if images > 10_000:
        return
    labels = np.arange(images)
    pairs = draw_pairs(labels, rng())
    assert sorted(pairs.order.tolist()) == labels.tolist()
    assert [len(block) for block in pairs.partners] == [size] * (images // size) + [last] * bool(
        images % size
    )
    assert all(sorted(block.tolist()) == list(range(len(block))) for block in pairs.partners)
    assert all((block != np.arange(len(block))).all() for block in pairs.partners)


def test_pairs_depend_on_the_labels_and_the_seed_alone():
    labels = np.arange(500) % 10
    one, same, other = draw_pairs(labels, rng()), draw_pairs(labels, rng()), draw_pairs(labels, rng(1))
    assert (one.order == same.order).all()
    assert all((a == b).all() for a, b in zip(one.partners, same.partners, strict=True))
    assert (one.order != other.order).any()


def test_the_partners_of_a_class_are_spread_over_all_others():
    """Redrawing prefers no class: each of 10 is the partner of every other in a ninth of its pairs."""
    labels = np.repeat(np.arange(10), 400)
    pairs = draw_pairs(labels, rng())
    met = np.zeros((10, 10))
    starts = np.arange(0, len(labels), pairs.size)
    for start, partner in zip(starts, pairs.partners, strict=True):
        own = labels[pairs.order[start : start + pairs.size]]
        np.add.at(met, (own, own[partner]), 1)
    assert (np.diag(met) == 0).all()
    expected = 400 / 9
    off = met[~np.eye(10, dtype=bool)]
    assert (((off - expected) ** 2).sum() / expected) < 130  # chi-squared of about 80 degrees of freedom


def test_planned_draws_are_as_planned_and_the_others_random():
    partner = np.array([2, 0, 1])
    draws = PlannedDraws(5, partner, exactly(0.3))
    assert draws.beta(0.2, 0.2) == 0.3
    assert draws.beta(0.2, 0.2, size=2).tolist() == [0.3, 0.3]
    assert draws.permutation(3).tolist() == [2, 0, 1]
    assert draws.random() == np.random.Generator(np.random.PCG64(5)).random()
    quantile = PlannedDraws(5, partner, at_quantile(0.9)).beta(0.2, 0.4)
    assert quantile == pytest.approx(betaincinv(0.2, 0.4, 0.9))


def test_stratified_probabilities_cover_the_unit_interval_evenly():
    found = stratified(50, rng())
    assert np.floor(np.sort(found) * 50).tolist() == list(range(50))
    assert (np.sort(found) != found).any()
