"""Labels beside the ends of lines keep apart, in their order, and move as little as possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.optimize import minimize

from dmix.plot.labels import End, label_ends, spread
from drawn import overlapping, texts


def test_labels_with_room_stay_where_they_are():
    assert spread([30.0, 0.0, 15.0], gap=8, height=100) == [30.0, 0.0, 15.0]


def test_labels_at_one_height_are_centred_on_it():
    assert spread([50.0, 50.0, 50.0], gap=8, height=100) == [42.0, 50.0, 58.0]


def test_labels_at_the_edges_stay_inside():
    assert spread([0.0, 0.0], gap=8, height=100) == [0.0, 8.0]
    assert spread([99.0, 100.0], gap=8, height=100) == [92.0, 100.0]
    assert spread([], gap=8, height=100) == []


@given(st.lists(st.floats(0, 60), min_size=1, max_size=6))
def test_labels_keep_apart_in_their_order(wanted):
    found = np.array(spread(wanted, gap=8, height=60))
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(found[order]) >= 8 - 1e-9).all()
    assert found.min() >= 0
    assert found.max() <= 60 + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_no_other_places_are_nearer(seed):
    wanted = np.sort(np.random.default_rng(seed).uniform(20, 60, 5))
    found = np.array(spread(wanted, gap=9, height=1000))
    best = minimize(
        lambda places: ((places - wanted) ** 2).sum(),
        wanted + 9 * np.arange(5),
        constraints={"type": "ineq", "fun": lambda places: np.diff(places) - 9},
        options={"ftol": 1e-12},
    )
    inside = np.minimum(np.maximum(best.x, 9 * np.arange(5)), 1000)
    np.testing.assert_allclose(found, inside, atol=1e-3)


def test_labels_are_written_beside_the_axes():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], [0, 1], [0, 1.01])
    label_ends(figure, [(axes, [End(1, 1, "one", "black"), End(1, 1.01, "other", "black")])])
    assert {"one", "other"} <= {text.get_text() for text in texts(figure)}
    assert overlapping(figure) == []
