"""Several processes that share the shards of a batch, against one that goes through all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dmix.engine.distributed import World, here, joined
from dmix.errors import DmixError
from several_processes import JOINT, RUNS, SHARDS, continued, settings, stopped, together, trainer, whole_run
from small_runs import differences, make_task, make_trainer, norm_free

FAST = ("mixup", "joint_samix")
STOPPED = ("mixup", "joint_samix")
EVERY = pytest.mark.slow


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """The runs of one process, made when they are asked for."""

    class Runs(dict):
        def __missing__(self, name):
            self[name] = whole_run((RUNS | JOINT)[name]())
            return self[name]

    return Runs()


@pytest.fixture(scope="module")
def states():
    return {name: stopped(name) for name in STOPPED}


@pytest.fixture(scope="module")
def two(tmp_path_factory, states):
    return together(2, FAST, states, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="module")
def two_of_all(tmp_path_factory):
    return together(2, [*RUNS, *JOINT], {}, tmp_path_factory.mktemp("two_of_all"))


@pytest.fixture(scope="module")
def four(tmp_path_factory, states):
    return together(4, [*RUNS, *JOINT], states, tmp_path_factory.mktemp("four"))


@pytest.fixture
def shared(request):
    """What processes showed, by the name of a fixture: it is made when a test asks for it."""
    return request.getfixturevalue


BY_TWO = [("two", name) for name in FAST]
OF_ALL = [
    pytest.param(kind, name, marks=EVERY) for kind in ("two_of_all", "four") for name in (*RUNS, *JOINT)
]


@pytest.mark.parametrize(("kind", "name"), [*BY_TWO, *OF_ALL])
def test_a_run_does_not_depend_on_the_number_of_processes(kind, name, shared, alone):
    """Weights, averages, random numbers and history, bit by bit; with common statistics, to rounding."""
    for one in shared(kind):
        assert_same_run(one["runs"][name], alone[name], name)


def assert_equal(one, other):
    places = differences(one, other)  # apart, or a failure would show all values
    assert places == []


def assert_same_run(found, expected, name):
    if name in RUNS:
        assert_equal(found, expected)
        return
    assert_equal(found["generators"], expected["generators"])
    tolerance = 2e-2 if "bf16" in name else 2e-5
    assert found["method"].keys() == expected["method"].keys()
    for key, value in found["method"].items():
        torch.testing.assert_close(value, expected["method"][key], rtol=0, atol=tolerance, msg=key)
    for row, other in zip(found["history"], expected["history"], strict=True):
        assert row.keys() == other.keys()
        assert row["loss"] == pytest.approx(other["loss"], abs=tolerance)


@pytest.mark.parametrize("kind", ["two", pytest.param("four", marks=EVERY)])
@pytest.mark.parametrize("name", STOPPED)
def test_a_run_goes_on_with_another_number_of_processes(kind, name, shared, states, alone):
    processes = shared(kind)
    for one in processes:
        assert_same_run(one["continued"][name], alone[name], name)
        assert len(one["stopped"][name]["generators"]) == SHARDS
    assert_same_run(continued(name, processes[0]["stopped"][name]), alone[name], name)
    if name in RUNS:
        assert_equal(processes[0]["stopped"][name], states[name])


@pytest.mark.parametrize("kind", ["two", pytest.param("four", marks=EVERY)])
@pytest.mark.parametrize("name", STOPPED)
def test_all_processes_have_the_same_parameters(kind, name, shared):
    first, *others = (one["parameters"][name] for one in shared(kind))
    assert others
    for other in others:
        assert_equal(first, other)


def test_a_split_of_one_batch_is_read_by_the_first_process(two):
    expected = make_trainer(settings(epochs=1), n=48, tests=3)
    expected.run(lambda _: True)
    for one in two:
        assert one["one_batch"] == [row["top1_model"] for row in expected.history]


def test_what_processes_tell_each_other(two):
    assert [one["world"] for one in two] == [(0, 2), (1, 2)]
    for one in two:
        assert one["agree"] == [1, 5, 0]
        assert one["gather"] == [{"rank": 0}, {"rank": 1}]
        assert one["lead"] == ["work of", 0]
        assert one["after"] == (0, 1)


def test_what_they_refuse(two):
    first, second = (one["refusals"] for one in two)
    assert first.pop("lead") == ("DmixError", "only the first can")
    assert second.pop("lead") == ("SystemExit", "3")
    assert first == second
    assert first["rows"][1].startswith("a batch of 3 rows cannot be shared evenly by 2 processes")
    assert first["shards"][1].startswith(
        "2 processes cannot share a batch of 1 shards (recipe.shards) equally"
    )


def test_shares_are_equal_runs_of_rows():
    rows = range(8)
    assert [list(rows[World(rank, 2).rows(8)]) for rank in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [list(range(7)[World(rank, 3).batches()]) for rank in range(3)] == [
        [0, 3, 6],
        [1, 4],
        [2, 5],
    ]
    with pytest.raises(DmixError, match="a batch of 7 rows cannot be shared evenly by 2 processes"):
        World(0, 2).rows(7)


def test_a_process_alone_sets_nothing_up(monkeypatch):
    for size in (None, "1"):
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        with joined("auto") as world:
            assert world == here() == World(0, 1)
            assert world.leads
            assert range(7)[world.rows(7)] == range(7)
            assert range(7)[world.batches()] == range(7)
            assert world.share(3) == range(3)
            tensor = torch.ones(2)
            assert world.sum(tensor) is tensor
            assert world.agree(3, True) == [3, 1]
            assert world.gather("mine") == ["mine"]
            assert world.lead(lambda: 4) == 4
            world.wait()
            world.hand_on_buffers(make_task(norm_free()))
            world.add_gradients(trainer(settings()).parameters)
