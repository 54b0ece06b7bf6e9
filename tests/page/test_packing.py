"""Packed columns come back equal to what was packed, rounded to their decimals."""

import base64
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmix.page.packing import decimals_for, pack, unpack


def test_bytes_in_closed_form():
    # 2 decimals -> zigzag 4. 1.00 -> difference 100 -> 200 + 1 = 0xC9 0x01. A gap -> 0. 0.99 -> -1 -> 1 + 1.
    assert pack([([1.0, None, 0.99], 2)]) == base64.b64encode(bytes([4, 0xC9, 0x01, 0, 2])).decode()


def test_columns_follow_each_other():
    text = pack([([1.0, 2.0], 0), ([None, None], 2), ([-0.5, 0.25], 2)])
    assert unpack(text, 3, 2) == [[1.0, 2.0], [None, None], [-0.5, 0.25]]


@given(st.lists(st.none() | st.integers(0, 10_000), max_size=50))
def test_accuracies_are_exact(hundredths):
    column = [None if value is None else value / 100 for value in hundredths]
    assert unpack(pack([(column, 2)]), 1, len(column)) == [column]


@given(st.lists(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-12), min_size=1, max_size=30))
def test_losses_keep_four_digits_of_the_largest(column):
    decimals = decimals_for(column)
    [found] = unpack(pack([(column, decimals)]), 1, len(column))
    largest = max(map(abs, column))
    assert found == pytest.approx(column, abs=0.5001 * 10.0**-decimals)
    if largest:
        assert 10.0**-decimals <= largest / 999
    assert all(abs(round(value * 10.0**decimals)) <= 10_000 for value in found)


@pytest.mark.parametrize(
    ("largest", "decimals"),
    [(0.0, 0), (9.999, 3), (10.0, 2), (0.5, 4), (12345.0, -1), (1e-30, 22), (1e30, -22)],
)
def test_decimals(largest, decimals):
    assert decimals_for([None, -largest]) == decimals


def test_nothing_but_gaps():
    assert decimals_for([None, None]) == 0
    assert unpack(pack([]), 0, 0) == []
    assert math.isclose(unpack(pack([([1e30], -22)]), 1, 1)[0][0], 1e30)
