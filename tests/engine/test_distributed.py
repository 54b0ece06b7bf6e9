"""Two processes with half the batch each, against one with the whole batch."""

from __future__ import annotations

import multiprocessing
import os
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

import two_processes
from dmix.engine.distributed import World, here, joined
from dmix.engine.seeding import host_generator
from dmix.errors import DmixError
from dmix.policies.mixup import Mixup
from small_runs import (
    SEED,
    differences,
    loader_for,
    make_task,
    make_trainer,
    norm_free,
    recipe,
    values,
    with_norms,
)
from two_processes import CLIPPED, RECIPES, STEPS, after_steps, free_port, synchronised, whole_run

TWO = [World(rank, 2) for rank in (0, 1)]


class Both(NamedTuple):
    first: dict
    second: dict


def become(rank, port, folder):
    """Be one of two processes as torchrun would start it, but with everything imported."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.save(two_processes.main(), folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Both:
    folder, port = tmp_path_factory.mktemp("two"), free_port()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=become, args=(rank, port, folder)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
    assert [process.exitcode for process in processes] == [0, 0]
    return Both(*(torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)))


def assert_close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.mark.parametrize(
    "key",
    ["vanilla", "adamw", "mixup", "norms", "automix", "puzzlemix", "synchronised", "synchronised_samix"],
)
def test_both_processes_have_the_same_parameters(two, key):
    own = ("running", "tracked")  # statistics; a process may leave SAMix's mixer out in a step
    parameters = [
        {name: value for name, value in one[key].items() if not any(word in name for word in own)}
        for one in two
    ]
    assert_close(*parameters, rtol=0, atol=0)


def test_without_norms_they_are_one_process_with_the_whole_batch(two):
    start = values(make_task())
    for key, settings in (("vanilla", CLIPPED), ("adamw", recipe(**RECIPES["adamw"]))):
        alone = after_steps(make_trainer(settings))
        assert_close(two.first[key], alone, **CLOSE)
        assert max(float((alone[name] - start[name]).abs().max()) for name in alone) > 1e-2


class Replayed(np.random.Generator):
    """The draws that two processes make, in the order in which one process mixes two groups of rows."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.streams = [host_generator(SEED, *world.purpose("mix")) for world in TWO]
        self.permuted = 0

    def beta(self, a, b, size=None):
        assert size == 2
        return np.concatenate([stream.beta(a, b, size=1) for stream in self.streams])

    def permutation(self, n):
        self.permuted += 1
        return self.streams[(self.permuted - 1) % 2].permutation(n)


def test_mixing_two_groups_is_mixing_in_two_processes(two):
    """Given the same draws: `lam_groups` stands for that many processes."""
    trainer = make_trainer(CLIPPED, make_task(policy=Mixup(alpha=1.0, lam_groups=2)))
    object.__setattr__(trainer.draws, "host", Replayed())
    assert_close(two.first["mixup"], after_steps(trainer), **CLOSE)
    assert trainer.draws.host.permuted == 2 * STEPS
    vanilla = two.first["vanilla"]
    assert max(float((two.first["mixup"][name] - vanilla[name]).abs().max()) for name in vanilla) > 1e-4


def test_with_norms_they_are_one_process_that_normalises_each_half(two):
    """And the running statistics are those of the first half alone."""
    settings = recipe()
    task, loader = make_task(with_norms()), loader_for(settings)
    trainer = make_trainer(settings, task)
    model = task.model
    for step in range(STEPS):
        batch = loader.batch(step)
        trainer.optimizer.zero_grad()
        before = [buffer.clone() for buffer in model.buffers()]
        for half in (slice(4, 8), slice(0, 4)):
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
            loss = functional.cross_entropy(model(batch.images[half]), batch.labels[half])
            (loss / 2).backward()
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer._rate(step, {})
        trainer.optimizer.step()
    assert_close(two.first["norms"], values(task), **CLOSE)
    whole = after_steps(make_trainer(settings, make_task(with_norms())))
    assert any((two.first["norms"][name] - whole[name]).abs().max() > 1e-3 for name in whole)


def test_with_synchronised_norms_they_are_one_process_with_the_whole_batch(two):
    """Parameters and running statistics, in both; and bit by bit what unsynchronised norms are when alone."""
    whole = after_steps(make_trainer(recipe(), make_task(with_norms())))
    for one in two:
        assert_close(one["synchronised"], whole, rtol=1e-5, atol=1e-5)
    assert not differences(after_steps(make_trainer(recipe(), make_task(synchronised()))), whole)


def test_a_process_may_leave_its_mixer_out_while_another_does_not(two):
    """So the mixer's batch norm is not synchronised: the others would wait for ever."""
    calls = [one["synchronised_samix"]["policy.mixer.value.1.num_batches_tracked"] for one in two]
    assert calls[0] != calls[1]
    running = [name for name in two.first["synchronised_samix"] if "running" in name and "mixer" not in name]
    for name in running:
        torch.testing.assert_close(*(one["synchronised_samix"][name] for one in two), rtol=0, atol=0)


def test_synchronised_norms_work_in_half_precision(two):
    whole = after_steps(make_trainer(recipe(precision="bf16"), make_task(with_norms())), 1)
    assert_close(two.first["synchronised_bf16"], whole, rtol=0, atol=5e-3)
    assert_close(two.second["synchronised_bf16"], two.first["synchronised_bf16"], rtol=0, atol=0)


def test_a_run_with_synchronised_norms_has_the_history_of_one_process(two):
    _, history = whole_run(make_trainer(recipe(), make_task(with_norms())))
    _, found = two.first["synchronised_run"]
    for row, expected in zip(found, history, strict=True):
        assert row == pytest.approx(expected, abs=1e-5)


def test_losses_and_readings_are_those_of_the_whole_batch_and_split(two):
    weights, history = whole_run(make_trainer(CLIPPED))
    found, rows = two.first["run"]
    assert_close(found, weights, **CLOSE)
    assert two.second["run"][1] == rows
    for row, expected in zip(rows, history, strict=True):
        assert row.keys() == expected.keys()
        assert row["top1_model"] == expected["top1_model"]
        assert row["loss"] == pytest.approx(expected["loss"], abs=1e-6)


def test_a_split_of_one_batch_is_read_by_the_first_process(two):
    _, history = whole_run(make_trainer(recipe(epochs=1), tests=3))
    for one in two:
        assert [row["top1_model"] for row in one["one_batch"][1]] == [row["top1_model"] for row in history]


def test_readings_use_the_running_statistics_of_the_first_process(two):
    (weights, rows), (others, others_rows) = two.first["norms_run"], two.second["norms_run"]
    assert rows == others_rows
    assert_close(weights, others, rtol=0, atol=0)
    task = make_task(with_norms())
    task.load_state_dict(weights)
    trainer = make_trainer(recipe(), task)
    task.eval()
    hits = [(task.model(images).argmax(1) == labels).sum() for images, labels in trainer.test]
    assert rows[-1]["top1_model"] == 100.0 * int(sum(hits)) / 13


def test_in_a_step_all_see_the_running_statistics_of_the_first_process(two):
    first, second = (one["statistics"] for one in two)
    assert len(first) == len(second) == STEPS
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("name", two_processes.INTERRUPTED)
def test_stopped_and_continued_they_end_bit_identical(two, name):
    for one in two:
        assert one["interrupted"][name][0] == []
    first, second = (one["interrupted"][name][1]["generators"] for one in two)
    assert len(first) == 2
    assert first[0]["host"] == second[0]["host"] != first[1]["host"]  # both have the first one's state
    assert not torch.equal(first[0]["torch"], first[1]["torch"])


def test_the_state_of_two_is_not_continued_by_one(two):
    state = two.first["interrupted"]["sgd"][1]
    with pytest.raises(DmixError, match="small: the state of 2 processes cannot be continued by 1"):
        make_trainer(recipe()).load_state_dict(state)
    kind, message = two.first["refusals"]["state"]
    assert (kind, message.splitlines()[0]) == (
        "DmixError",
        "small: the state of 1 processes cannot be continued by 2",
    )


def test_each_process_draws_for_itself_and_the_first_as_one_alone(two):
    alone = make_trainer(CLIPPED, make_task(policy=Mixup(alpha=1.0)))
    after_steps(alone)
    rng = host_generator(SEED, "mix")
    for _ in range(STEPS):
        rng.beta(1.0, 1.0, size=1)
        rng.permutation(4)
    assert two.first["draws"] == rng.random(3).tolist()
    assert two.second["draws"] != two.first["draws"]


def test_what_processes_tell_each_other(two):
    assert [one["world"] for one in two] == [(0, 2), (1, 2)]
    for one in two:
        assert one["agree"] == [1, 5, 0]
        assert one["gather"] == [{"rank": 0}, {"rank": 1}]
        assert one["lead"] == ["work of", 0]
        assert one["groups"] == 2
        assert one["after"] == (0, 1)


def test_what_they_refuse(two):
    first, second = (one["refusals"] for one in two)
    assert first.pop("lead") == ("DmixError", "only the first can")
    assert second.pop("lead") == ("SystemExit", "3")
    assert first == second
    assert first["rows"][1].startswith("a batch of 7 rows cannot be shared evenly by 2 processes")
    assert first["groups"][1].startswith("policy.lam_groups is 3: 2 processes cannot draw so often together")


def test_shares_are_equal_runs_of_rows():
    rows = range(8)
    assert [list(rows[world.rows(8)]) for world in TWO] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [list(range(7)[World(rank, 3).batches()]) for rank in range(3)] == [
        [0, 3, 6],
        [1, 4],
        [2, 5],
    ]


def test_a_process_alone_sets_nothing_up(monkeypatch):
    for size in (None, "1"):
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        with joined("auto") as world:
            assert world == here() == World(0, 1)
            assert world.leads
            assert range(7)[world.rows(7)] == range(7)
            assert range(7)[world.batches()] == range(7)
            assert world.purpose("mix") == ("mix",)
            task = make_task(norm_free())
            assert world.averaging(task) == task.losses
            tensor = torch.ones(2)
            assert world.mean(tensor) is tensor
            assert world.agree(3, True) == [3, 1]
            assert world.gather("mine") == ["mine"]
            assert world.lead(lambda: 4) == 4
            assert world.share_of_groups(3) == 3
            world.wait()
            world.hand_on_buffers(task)
