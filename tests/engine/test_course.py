"""When a run's test split is read and its history has rows, and the rates of recipes that count steps."""

from __future__ import annotations

import pytest
from small_runs import recipe

from dmix.engine.course import course
from dmix.engine.schedule import readings
from dmix.engine.steps import cosine_7_16, step_readings

SEMI = 2**20
TRANSFER = 27_005
RATES = {
    0: 0.03,
    1: 0.029999999999974228,
    262144: 0.028246321955490622,
    524288: 0.02319031360088211,
    1048575: 0.005852748228131802,
    1048576: 0.00585270966048385,
}


def of_steps(steps, every, also=(), late=0):
    settings = recipe(epochs=0, steps=steps, eval_every=every, eval_also=also, eval_late=late)
    return course(settings, steps_per_epoch=3)


def test_a_semi_supervised_run_is_read_as_torchssl_reads_it():
    found = of_steps(SEMI, 5000, late=1000)
    early = [step for step in found.readings if step - 1 <= 0.8 * SEMI]
    late = [step for step in found.readings if step - 1 > 0.8 * SEMI]
    assert (len(early), len(late)) == (168, 210)
    assert early == list(range(1, 835_002, 5000))
    assert late == list(range(839_001, 1_048_002, 1000))
    assert found.readings == (*early, *late)
    assert (found.total, found.epoch) == (SEMI, 0)


def loop(total, every, late):
    """Readings of a loop that counts steps from 0 and reads oftener once four fifths are over."""
    now = every
    for it in range(total):
        if it % now == 0:
            yield it + 1
        if 5 * (it + 1) > 4 * total:
            now = late


@pytest.mark.parametrize(("every", "late"), [(5, 2), (4, 1), (3, 3), (1, 7), (100, 2)])
def test_late_readings_begin_as_in_a_loop(every, late):
    for total in range(1, 61):
        assert step_readings(total, every, late=late) == tuple(loop(total, every, late))


def test_readings_without_late_ones_and_with_others_as_well():
    assert step_readings(10, 4) == (1, 5, 9)
    assert step_readings(10, 4, [7, 5, 11]) == (1, 5, 7, 9)
    assert step_readings(10, 4, [7], late=1) == (1, 5, 7, 9, 10)
    assert step_readings(1, 4, late=1) == (1,)


def test_a_transfer_run_is_read_as_self_tuning_reads_it():
    found = of_steps(TRANSFER, 3000, also=(500,))
    assert found.readings == (1, 500, 3001, 6001, 9001, 12001, 15001, 18001, 21001, 24001, 27001)
    assert found.total == TRANSFER


def test_of_steps_a_row_ends_at_each_reading_and_at_the_end():
    found = of_steps(20, 7, also=(3,))
    assert [step for step in range(1, 21) if found.is_read(step)] == [1, 3, 8, 15]
    assert [step for step in range(1, 21) if found.row_ends(step)] == [1, 3, 8, 15, 20]
    found = of_steps(15, 7)
    assert [step for step in range(1, 16) if found.row_ends(step)] == [1, 8, 15]
    assert found.is_read(15)


@pytest.mark.parametrize(("epochs", "every"), [(2, 1), (14, 3), (30, 10)])
def test_of_epochs_a_row_ends_at_each_and_some_are_read(epochs, every):
    found = course(recipe(epochs=epochs, eval_every=every), steps_per_epoch=3)
    assert (found.total, found.epoch, found.readings) == (3 * epochs, 3, readings(epochs, every))
    ends = [step for step in range(1, found.total + 1) if found.row_ends(step)]
    assert ends == list(range(3, 3 * epochs + 1, 3))
    assert [step // 3 for step in ends if found.is_read(step)] == list(found.readings)


@pytest.mark.parametrize(("step", "rate"), RATES.items())
def test_the_cosine_of_fixmatch_is_golden(step, rate):
    assert cosine_7_16(step, SEMI, 0.03) == pytest.approx(rate, rel=1e-12)


def test_the_cosine_of_fixmatch_falls_in_proportion_to_its_start():
    rates = [cosine_7_16(step, 100, 0.03) for step in range(101)]
    assert rates == sorted(set(rates), reverse=True)
    for step, rate in enumerate(rates):
        assert cosine_7_16(step, 100, 0.3) == pytest.approx(10 * rate, rel=1e-14)
