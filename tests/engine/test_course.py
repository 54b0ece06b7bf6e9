"""When the test split of a run is evaluated, and when its history has rows."""

from __future__ import annotations

import pytest

from dmix.engine.course import course, epoch_evaluations, step_evaluations
from small_runs import recipe

SEMI = 2**20
TRANSFER = 27_005


def of_steps(steps, every, also=(), late=0):
    settings = recipe(epochs=0, steps=steps, eval_every=every, eval_also=also, eval_late=late)
    return course(settings, steps_per_epoch=3)


def test_a_semi_supervised_run_is_read_as_torchssl_reads_it():
    found = of_steps(SEMI, 5000, late=1000)
    early = [step for step in found.evaluations if step - 1 <= 0.8 * SEMI]
    late = [step for step in found.evaluations if step - 1 > 0.8 * SEMI]
    assert (len(early), len(late)) == (168, 210)
    assert early == list(range(1, 835_002, 5000))
    assert late == list(range(839_001, 1_048_002, 1000))
    assert found.evaluations == (*early, *late)
    assert (found.total, found.epoch) == (SEMI, 0)


def loop(total, every, late):
    """Evaluations of a loop that counts steps from 0, and which come oftener once four fifths are over."""
    now = every
    for it in range(total):
        if it % now == 0:
            yield it + 1
        if 5 * (it + 1) > 4 * total:
            now = late


@pytest.mark.parametrize(("every", "late"), [(5, 2), (4, 1), (3, 3), (1, 7), (100, 2)])
def test_late_evaluations_begin_as_in_a_loop(every, late):
    for total in range(1, 61):
        assert step_evaluations(total, every, late=late) == tuple(loop(total, every, late))


def test_evaluations_without_late_ones_and_with_others_as_well():
    assert step_evaluations(10, 4) == (1, 5, 9)
    assert step_evaluations(10, 4, [7, 5, 11]) == (1, 5, 7, 9)
    assert step_evaluations(10, 4, [7], late=1) == (1, 5, 7, 9, 10)
    assert step_evaluations(1, 4, late=1) == (1,)


def test_a_transfer_run_is_read_as_self_tuning_reads_it():
    found = of_steps(TRANSFER, 3000, also=(500,))
    assert found.evaluations == (1, 500, 3001, 6001, 9001, 12001, 15001, 18001, 21001, 24001, 27001)
    assert found.total == TRANSFER


def test_of_steps_a_row_ends_at_each_evaluation_and_at_the_end():
    found = of_steps(20, 7, also=(3,))
    assert [step for step in range(1, 21) if found.is_evaluated(step)] == [1, 3, 8, 15]
    assert [step for step in range(1, 21) if found.row_ends(step)] == [1, 3, 8, 15, 20]
    found = of_steps(15, 7)
    assert [step for step in range(1, 16) if found.row_ends(step)] == [1, 8, 15]
    assert found.is_evaluated(15)


@pytest.mark.parametrize(("epochs", "every"), [(2, 1), (14, 3), (30, 10)])
def test_of_epochs_a_row_ends_at_each_and_some_are_read(epochs, every):
    found = course(recipe(epochs=epochs, eval_every=every), steps_per_epoch=3)
    assert (found.total, found.epoch, found.evaluations) == (3 * epochs, 3, epoch_evaluations(epochs, every))
    ends = [step for step in range(1, found.total + 1) if found.row_ends(step)]
    assert ends == list(range(3, 3 * epochs + 1, 3))
    assert [step // 3 for step in ends if found.is_evaluated(step)] == list(found.evaluations)


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
def test_evaluations_are_sparse_and_then_the_last_ten(epochs, every, expected):
    assert epoch_evaluations(epochs, every) == expected


def test_evaluations_of_the_longest_run():
    found = epoch_evaluations(800, 20)
    assert len(found) == 39 + 10
    assert found[-10:] == tuple(range(791, 801))
