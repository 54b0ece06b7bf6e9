"""The choice of what to run next, and named selections."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dmix.errors import DmixError
from dmix.grid.budget import choose
from dmix.grid.select import selected, selection_path, write_selection
from project import real_grid


def brute_force(needs, hours, budget):
    """The most claims, and the least hours for as many, over all subsets."""
    best = (0, 0.0)
    for size in range(len(needs) + 1):
        for claims in itertools.combinations(needs, size):
            cost = sum(hours[run] for run in set().union(*(needs[claim] for claim in claims)))
            if cost <= budget + 1e-9:
                best = max(best, (size, -cost))
    return best[0], -best[1]


@pytest.mark.parametrize("seed", range(12))
def test_the_choice_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    hours = {f"r{i}": float(rng.integers(1, 9)) / 2 for i in range(10)}
    needs = {
        f"c{i}": frozenset(rng.choice(list(hours), size=int(rng.integers(1, 5)), replace=False).tolist())
        for i in range(7)
    }
    for budget in (0.0, 2.0, 6.5, 11.0, 100.0):
        found = choose(needs, hours, budget)
        count, cost = brute_force(needs, hours, budget)
        assert len(found.steps) == count
        assert found.hours == pytest.approx(cost)
        assert found.hours <= budget
        assert set(found.runs) == set().union(*(needs[step.claim] for step in found.steps))
        assert len(found.runs) == len(set(found.runs))
        assert {*found.left_out, *(step.claim for step in found.steps)} == set(needs)


def test_a_greedy_choice_would_be_worse():
    """The cheapest claim by itself is not part of the optimum, for two others share their runs."""
    needs = {"cheap": {"a"}, "one": {"b", "c"}, "two": {"b", "c"}, "three": {"b", "d"}}
    hours = {"a": 3.0, "b": 2.5, "c": 2.0, "d": 0.5}
    found = choose(needs, hours, 5.0)
    assert [step.claim for step in found.steps] == ["three", "one", "two"]
    assert [step.hours for step in found.steps] == [3.0, 2.0, 0.0]
    assert found.runs == ("b", "d", "c")
    assert found.left_out == {"cheap": 3.0}


def test_hours_are_the_exact_sum_in_whatever_order_a_set_has():
    runs = {f"run {number}": 0.1 for number in range(10)}  # added one after the other: 0.9999999999999999
    assert choose({"it": runs.keys()}, runs, 5.0).steps[0].hours == 1.0
    assert choose({"it": runs.keys()}, runs, 0.5).left_out == {"it": 1.0}


def test_nothing_to_decide():
    assert choose({}, {}, 10.0).steps == ()


def test_a_selection_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = real_grid("hour")
    names = list(grid.runs)
    path = write_selection("hour", "first", ["# by hand", names[2], "", f"{names[0]} # the first"])
    assert path == selection_path("hour", "first")
    assert selected(grid, "first") == (names[0], names[2])
    write_selection("hour", "cell", ["supervised/cifar100/resnet18/mixup/dm_ce"])
    assert selected(grid, "cell") == ("supervised/cifar100/resnet18/mixup/dm_ce/s0",)
    with pytest.raises(DmixError) as caught:
        selected(grid, "second")
    assert "choose of cell, first" in str(caught.value.way_out)
    with pytest.raises(DmixError, match="cannot name a selection"):
        selection_path("hour", "../first")
    write_selection("hour", "stale", ["supervised/cifar100/resnet18/mixup/dm_cee/s0"])
    with pytest.raises(DmixError, match="no run of tier hour"):
        selected(grid, "stale")
