"""Histories are read whole or in progress, and thinned to rows that matter."""

from itertools import pairwise

import pytest

from dmix.errors import DmixError
from dmix.page.histories import History, read_history, thin
from dmix.page.packing import unpack


def history(accuracies, unit="epoch"):
    at = tuple(range(1, len(accuracies) + 1))
    return History(unit, at, {"loss": tuple(1 / place for place in at), "top1_model": tuple(accuracies)})


def rows(packed):
    """Return the places and columns of a thinned history, as the page puts them together."""
    at = sorted([*packed.at, *([] if packed.best is None else [packed.best])])
    return at, unpack(packed.text, len(packed.columns), len(at))


def test_a_finished_history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,step,lr,loss,mixed,top1_model\n1,20,0.1,2.5,nan,\n2,40,0.1,inf,1.25,10.0\n")
    found = read_history(path)
    assert (found.unit, found.at) == ("epoch", (1, 2))
    assert found.columns == {"loss": (2.5, None), "mixed": (None, 1.25), "top1_model": (None, 10.0)}


def test_the_line_that_is_being_written_is_left_out(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,lr,loss,top1_clean\n1,0.1,2.5,7.2\n151,0.1,0.6")
    assert (read_history(path).unit, read_history(path).at) == ("step", (1,))


@pytest.mark.parametrize("text", ["", "step,lr,loss\n", "step,lr,loss"])
def test_no_row_yet(tmp_path, text):
    path = tmp_path / "history.csv"
    assert read_history(path) is None
    path.write_text(text)
    assert read_history(path) is None


@pytest.mark.parametrize("row", ["one,0.1,2.5", "1,0.1,much", "1"])
def test_what_is_no_number_is_refused(tmp_path, row):
    path = tmp_path / "history.csv"
    path.write_text(f"step,lr,loss\n{row}\n")
    with pytest.raises(DmixError, match="is not a history"):
        read_history(path)


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
