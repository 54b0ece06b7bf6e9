from __future__ import annotations

import math
from itertools import pairwise

import pytest

from dmix.engine.schedule import cosine, readings


@pytest.mark.parametrize(("lr", "lr_end"), [(0.1, 0.0), (0.1, 0.001), (1e-3, 1e-5)])
def test_cosine_has_its_closed_form(lr, lr_end):
    total = 1200
    assert cosine(0, total, lr, lr_end) == pytest.approx(lr, rel=1e-15)
    assert cosine(total // 3, total, lr, lr_end) == pytest.approx(lr_end + 0.75 * (lr - lr_end), rel=1e-14)
    assert cosine(total // 2, total, lr, lr_end) == pytest.approx((lr + lr_end) / 2, rel=1e-14)
    assert cosine(total, total, lr, lr_end) == lr_end
    rates = [cosine(step, total, lr, lr_end) for step in range(total + 1)]
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert math.fsum(rates) / (total + 1) == pytest.approx((lr + lr_end) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("epochs", "every", "expected"),
    [
        (800, 20, (*range(20, 781, 20), *range(791, 801))),
        (100, 20, (20, 40, 60, 80, *range(91, 101))),
        (30, 10, (10, *range(20, 31))),
        (30, 7, (7, 14, *range(21, 31))),
        (12, 20, tuple(range(3, 13))),
        (10, 3, tuple(range(1, 11))),
        (3, 1, (1, 2, 3)),
        (1, 20, (1,)),
        (0, 5, ()),
    ],
)
def test_readings_are_sparse_and_then_the_last_ten(epochs, every, expected):
    assert readings(epochs, every) == expected


def test_readings_of_the_longest_run():
    found = readings(800, 20)
    assert len(found) == 39 + 10
    assert found[-10:] == tuple(range(791, 801))
