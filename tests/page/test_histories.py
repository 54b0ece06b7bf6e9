"""Histories are read whole or in progress, and thinned to rows that matter."""

from itertools import pairwise

import pytest

from dmix.page.histories import Curves, curves_of, thin
from dmix.page.packing import unpack


def history(accuracies, unit="epoch"):
    at = tuple(range(1, len(accuracies) + 1))
    return Curves(unit, at, {"loss": tuple(1 / place for place in at), "top1_model": tuple(accuracies)})


def rows(packed):
    """Return the places and columns of a thinned history, as the page puts them together."""
    at = sorted([*packed.at, *([] if packed.best is None else [packed.best])])
    return at, unpack(packed.text, len(packed.columns), len(at))


def test_rows_become_columns():
    found = curves_of(
        [
            {"epoch": 1.0, "step": 20.0, "lr": 0.1, "loss": 2.5, "mixed": float("nan")},
            {"epoch": 2.0, "step": 40.0, "lr": 0.1, "loss": float("inf"), "mixed": 1.25, "top1_model": 10.0},
        ]
    )
    assert (found.unit, found.at) == ("epoch", (1, 2))
    assert found.columns == {"loss": (2.5, None), "mixed": (None, 1.25), "top1_model": (None, 10.0)}


def test_recipes_that_count_steps_have_steps():
    found = curves_of([{"step": 1.0, "loss": 2.5}, {"step": 151.0, "loss": 0.5}])
    assert (found.unit, found.at) == ("step", (1, 151))


def test_no_row_yet():
    assert curves_of([]) is None


def test_a_hundred_rows_stay_as_they_are():
    accuracies = [float(place % 50) for place in range(100)]
    packed = thin(history(accuracies), "top1_model")
    assert packed.best is None
    at, [loss, top1] = rows(packed)
    assert at == list(range(1, 101))
    assert top1 == accuracies
    assert loss == pytest.approx([1 / place for place in at], abs=0.00051)


@pytest.mark.parametrize("count", [101, 150, 800, 10_000])
def test_first_best_and_last_ten_are_kept(count):
    accuracies = [50.0] * count
    accuracies[count // 2 + 1] = 60.0
    packed = thin(history(accuracies), "top1_model")
    at, [_, top1] = rows(packed)
    assert len(at) <= 100
    assert at[0] == 1
    assert at[-10:] == list(range(count - 9, count + 1))
    assert dict(zip(at, top1, strict=True))[count // 2 + 2] == 60.0
    even = packed.at[:-10]
    gaps = {after - before for before, after in pairwise(even)}
    assert max(gaps) - min(gaps) <= 1


def test_evaluated_rows_go_first():
    # 800 epochs, evaluated after each tenth and after the last ten.
    accuracies = [float(e % 90) if e % 10 == 0 or e > 790 else None for e in range(1, 801)]
    at, [_, top1] = rows(thin(history(accuracies), "top1_model"))
    assert at == [1, *range(10, 791, 10), *range(791, 801)]
    assert top1 == [accuracies[place - 1] for place in at]


def test_runs_of_one_length_share_their_places():
    first, second = ([50.0] * 300 for _ in range(2))
    first[100], second[200] = 60.0, 60.0
    one, two = (thin(history(accuracies), "top1_model") for accuracies in (first, second))
    assert one.at == two.at
    assert (one.best, two.best) != (None, None)
