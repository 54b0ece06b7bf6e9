"""One process that goes through the shards of a batch, against naive loops."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from dmix.backbones.lockstep import in_turns, meet
from dmix.backbones.sync_batchnorm import SyncBatchNorm2d, synchronise
from dmix.engine.distributed import World
from dmix.engine.seeding import device_generator, host_generator
from dmix.engine.stream import Stream
from dmix.errors import DmixError
from dmix.grid.shards import at_most, processes
from dmix.objectives.mce import mce
from dmix.pairwise import in_pairs
from dmix.policies.cutmix import CutMix
from dmix.policies.policy import Draws
from dmix.policies.samix import SAMix
from dmix.policies.vanilla import Vanilla
from several_processes import JOINT, RUNS, SAMIX, SHARDS, settings, synchronised
from small_runs import (
    CPU,
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

STEPS = 4
ROWS = [slice(4 * shard, 4 * shard + 4) for shard in range(SHARDS)]


def after_steps(trainer):
    trainer.method.train()
    for _ in range(STEPS):
        trainer.train_step()
    return values(trainer.method)


def assert_close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def assert_equal(one, other):
    places = differences(one, other)
    assert places == []


CLOSE = {"rtol": 0, "atol": 1e-6}


def draws_of(shard):
    purpose = ("mix",) if shard == 0 else ("mix", shard)
    return Draws(host_generator(SEED, *purpose), device_generator(CPU, SEED, *purpose))


@pytest.mark.parametrize(
    "policy", [Vanilla, lambda: CutMix(alpha=1.0, derangement=True)], ids=["vanilla", "cutmix"]
)
def test_each_shard_is_mixed_and_normalised_by_itself_and_the_first_ones_statistics_count(policy):
    task, loader = make_task(with_norms(), policy()), loader_for(settings(), n=48)
    trainer = make_trainer(settings(), task, n=48)
    streams = [draws_of(shard) for shard in range(SHARDS)]
    for step in range(STEPS):
        batch, before = loader.batch(step), values(task)
        trainer.optimizer.zero_grad()
        for shard in reversed(range(SHARDS)):
            task.load_state_dict(before)
            images, labels = batch.images[ROWS[shard]], batch.labels[ROWS[shard]]
            mixed = task.policy.mix(images, labels, streams[shard], None)
            loss = mce(task.model(mixed.images), mixed.y_a, mixed.y_b, mixed.lam).mean()
            (loss / SHARDS).backward()
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer._rate(step, {})
        trainer.optimizer.step()
    found = after_steps(make_trainer(settings(), make_task(with_norms(), policy()), n=48))
    assert_close(found, values(task), **CLOSE)
    whole = after_steps(make_trainer(settings(shards=1), make_task(with_norms(), policy()), n=48))
    assert max(float((found[name] - whole[name]).abs().max()) for name in whole) > 1e-3


def test_without_norms_and_mixing_shards_are_the_whole_batch():
    found, whole = (
        after_steps(make_trainer(settings(shards=shards, clip_norm=0.2), make_task(norm_free()), n=48))
        for shards in (SHARDS, 1)
    )
    assert_close(found, whole, **CLOSE)
    start = values(make_task(norm_free()))
    assert max(float((whole[name] - start[name]).abs().max()) for name in whole) > 1e-2


def test_with_synchronised_norms_shards_are_the_whole_batch():
    """Parameters and running statistics; and with one shard, norms are torch's bit by bit."""
    given = settings(sync_batchnorm=True)
    whole = after_steps(make_trainer(settings(shards=1), make_task(with_norms()), n=48))
    assert_close(
        after_steps(make_trainer(given, make_task(synchronised()), n=48)), whole, rtol=1e-5, atol=1e-5
    )
    one = make_trainer(settings(shards=1, sync_batchnorm=True), make_task(synchronised()), n=48)
    assert_equal(after_steps(one), whole)


@pytest.mark.parametrize("name", [*RUNS, *JOINT])
def test_a_step_does_not_depend_on_what_was_trained_before_in_its_process(name):
    """Autograd orders sums by numbers that a thread counts up: from 0 in a new one, as after a restart."""
    found, after_restarts = (RUNS | JOINT)[name](), (RUNS | JOINT)[name]()
    for trainer in (found, after_restarts):
        trainer.method.train()
    for _ in range(STEPS):
        torch.ones(1, requires_grad=True).expand(2).sum().backward()
        found.train_step()
        thread = threading.Thread(target=after_restarts.train_step)
        thread.start()
        thread.join()
    assert found.step == after_restarts.step == STEPS
    assert_equal(found.state_dict(), after_restarts.state_dict())


def test_a_shard_may_leave_its_mixer_out_while_another_does_not():
    """Then they still meet in the network's norms, and the mixer's own statistics are the first shard's."""
    trainer = make_trainer(settings(sync_batchnorm=True), make_task(synchronised(), SAMix(**SAMIX)), n=48)
    state = after_steps(trainer)
    calls = int(state["policy.mixer.value.1.num_batches_tracked"])
    lams = [_second_lams(draws_of(shard)) for shard in range(SHARDS)]
    kept = [sum(min(lam, 1 - lam) > SAMIX["margin"] for lam in of_shard) for of_shard in lams]
    assert len(set(kept)) > 1
    assert calls == STEPS + kept[0]
    assert int(state["model.stem.1.num_batches_tracked"]) == 2 * STEPS  # clean and mixed images


def _second_lams(draws):
    """The lam of the network's pairs in each step."""
    policy = SAMix(**SAMIX)
    return [policy.draw(draws.host, 4, CPU)[1].lam for _ in range(STEPS)]


def test_dropout_of_each_shard_has_random_numbers_of_its_own():
    """Whatever is drawn elsewhere between two steps."""
    trainer = make_trainer(settings(), make_task(norm_free(dropout=0.5)), n=48)
    disturbed = make_trainer(settings(), make_task(norm_free(dropout=0.5)), n=48)
    for one in (trainer, disturbed):
        one.method.train()
    for _ in range(3):
        trainer.train_step()
        torch.rand(5)
        disturbed.train_step()
    assert_equal(values(trainer.method), values(disturbed.method))
    streams = [Stream(SEED, shard, CPU) for shard in range(3)]
    drawn = []
    for stream in (*streams, streams[1]):
        with stream.active():
            drawn.append(tuple(torch.rand(3).tolist()))
    assert len(set(drawn)) == 4
    other = Stream(SEED, 1, CPU)
    with other.active():
        assert tuple(torch.rand(3).tolist()) == drawn[1]
    other.load_state_dict(streams[2].state_dict())
    with other.active(), torch.random.fork_rng():
        following = torch.rand(3)
    with streams[2].active():
        assert torch.equal(torch.rand(3), following)


def test_a_stopped_and_continued_run_is_bit_identical():
    def made():
        return make_trainer(settings(), make_task(with_norms(), SAMix(**SAMIX)), n=48)

    whole, first, second = made(), made(), made()
    whole.run(lambda _: True)
    first.run(lambda one: one.step < 3)
    state = first.state_dict()
    assert len(state["generators"]) == SHARDS
    second.load_state_dict(state)
    second.run(lambda _: True)
    assert_equal(whole.state_dict(), second.state_dict())


def test_sums_in_pairs_have_the_same_bits_however_they_are_shared():
    numbers = torch.randn(16, generator=torch.Generator().manual_seed(0)).mul(1e3).tolist()
    add = lambda a, b: float(torch.tensor(a) + torch.tensor(b))  # noqa: E731
    whole = in_pairs(numbers, add)
    for parts in (2, 4, 8, 16):
        size = 16 // parts
        each = [in_pairs(numbers[size * part : size * (part + 1)], add) for part in range(parts)]
        assert in_pairs(each, add) == whole == in_pairs(reversed(each), add)
    assert whole != float(torch.tensor(numbers).cumsum(0)[-1])
    for n in range(1, 10):
        assert in_pairs(range(n), int.__add__) == sum(range(n))
    assert in_pairs("abcdefg", lambda a, b: f"({a}{b})") == "(((ab)(cd))((ef)g))"


@pytest.mark.parametrize(
    ("shards", "expected"), [(1, (1,)), (4, (1, 2, 4)), (6, (1, 2, 3, 6)), (8, (1, 2, 4, 8))]
)
def test_processes_that_share_shards_divide_them(shards, expected):
    assert processes({"shards": shards}) == expected
    assert [at_most({"shards": shards}, wanted) for wanted in range(1, 10)] == [
        max(count for count in expected if count <= wanted) for wanted in range(1, 10)
    ]
    for size in range(1, 10):
        worlds = [World(rank, size) for rank in range(size)]
        if size in expected:
            assert [shard for world in worlds for shard in world.share(shards)] == list(range(shards))
        else:
            start = f"{size} processes cannot share a batch of {shards} shards"
            with pytest.raises(DmixError, match=start) as refused:
                worlds[0].share(shards)
            assert str(refused.value).endswith(f"start {' or '.join(map(str, expected))}")


def test_turns_meet_in_order_and_hand_on_each_ones_part():
    seen = []

    def work(number):
        seen.append(number)
        first = meet("a", number, lambda all_: [10 * one for one in all_])
        seen.append(number)
        return first + meet("b", first, lambda all_: [sum(all_)] * len(all_))

    assert in_turns([lambda number=number: work(number) for number in range(3)], _no_context) == [30, 40, 50]
    assert seen == [2, 1, 0, 2, 1, 0]
    assert meet("alone", 3, lambda all_: [one + 1 for one in all_]) == 4


def _no_context(_):
    return torch.enable_grad()


def test_a_failure_in_a_turn_ends_all_of_them():
    ended = []

    def work(number):
        try:
            if number == 0:
                raise ValueError("the first one fails")
            meet("a", number, list)
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match="the first one fails"):
        in_turns([lambda number=number: work(number) for number in range(3)], _no_context)
    for _ in range(200):
        if len(ended) == 3:
            break
        torch.randn(1000).sort()
    assert sorted(ended) == [0, 1, 2]


@pytest.mark.parametrize("places", [("a", "b"), ("a", None)], ids=["another layer", "none"])
def test_turns_that_come_to_different_layers_are_refused(places):
    works = [lambda place=place: place and meet(place, 1, list) for place in places]
    with pytest.raises(RuntimeError, match="different layers"):
        in_turns(works, _no_context)


@pytest.mark.parametrize("affine", [True, False])
def test_a_synchronised_norm_of_turns_is_the_norm_of_all_rows(affine):
    """Output, gradients and running statistics."""
    plain, own = (nn.Sequential(nn.BatchNorm2d(3, affine=affine).double()) for _ in range(2))
    synchronise(own)
    assert isinstance(own[0], SyncBatchNorm2d)
    x = torch.randn(12, 3, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    results = []
    for norm in (plain, own):
        leaf = x.clone().requires_grad_()
        if norm is plain:
            out = norm(leaf)
        else:
            parts = leaf.split(4)
            out = torch.cat(in_turns([lambda part=part: own(part) for part in parts], _no_context))
        (out * weight).sum().backward()
        results.append([out, leaf.grad, *(p.grad for p in norm.parameters()), *norm.buffers()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(DmixError, match="2 processes cannot share a batch of 1 shards"):
        World(0, 2).share(recipe()["shards"])
