"""The simulator of docs/scale.md against closed forms and a naive schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from test_benchmarks import script


@pytest.fixture
def replay(monkeypatch):
    return script("replay", monkeypatch)


def names(count):
    return [f"r{place}" for place in range(count)]


def naive(hours, order, gpus):
    """Each job goes to the GPU that is free first."""
    free = [0.0] * gpus
    for name in order:
        gpu = free.index(min(free))
        free[gpu] += hours[name]
    return max(free)


@pytest.mark.parametrize("gpus", [1, 3, 8, 64])
def test_without_failures_it_is_list_scheduling(replay, gpus):
    random = np.random.default_rng(1)
    order = names(50)
    hours = {name: float(random.uniform(0.1, 9)) for name in order}
    found = replay.replay(hours, order, {}, replay.Site(gpus, start=0.0))
    assert found.makespan == pytest.approx(naive(hours, order, gpus))
    assert found.work == pytest.approx(sum(hours.values()))
    assert found.idle(gpus) == pytest.approx(1 - sum(hours.values()) / gpus / found.makespan)
    assert (found.lost, found.saving, found.failed, found.preempted) == (0, 0, 0, 0)


def test_a_job_waits_for_what_it_needs(replay):
    hours = {"a": 5.0, "b": 1.0, "c": 2.0}
    found = replay.replay(hours, ["b", "a", "c"], {"b": ["a"]}, replay.Site(2, start=0.0))
    assert found.ends == {"a": 5.0, "c": 2.0, "b": 6.0}


def test_starts_and_checkpoints_take_their_time(replay):
    site = replay.Site(1, start=0.5, interval=1.0, save=0.25)
    found = replay.replay({"a": 4.0}, ["a"], {}, site)
    assert found.makespan == 0.5 + 4.0 + 3 * 0.25  # the end writes results in place of a checkpoint
    assert (found.work, found.saving, found.starting) == (4.0, 0.75, 0.5)


@pytest.mark.parametrize(
    ("elapsed", "told", "expected"),
    [
        (0.3, False, (0.0, 0.0, 0.0, 0.3)),  # before its first step
        (0.5 + 0.7, False, (0.0, 0.7, 0.0, 0.5)),
        (0.5 + 1.25 + 0.7, False, (1.0, 0.7, 0.25, 0.5)),
        (0.5 + 1.25 + 1.1, False, (1.0, 1.0, 0.35, 0.5)),  # while it saved
        (0.5 + 1.25 + 0.7, True, (1.7, 0.0, 0.25, 0.5)),
    ],
)
def test_what_an_attempt_leaves(replay, elapsed, told, expected):
    site = replay.Site(1, start=0.5, interval=1.0, save=0.25)
    assert replay.progress(site, elapsed, told) == pytest.approx(expected)


def many(replay, site, work, runs=400):
    return [replay.replay({"a": work}, ["a"], {}, site, seed) for seed in range(runs)]


def assert_mean(values, expected):
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - expected) < 4 * spread
    assert 4 * spread < 0.2 * expected  # enough runs to tell


def test_expected_time_of_a_job_that_fails_at_random(replay):
    # rate 0.5 per hour; periods of 1 + 0.1 hours, the last without a checkpoint, are tried until they pass
    site = replay.Site(1, per_node=1, failures=500, repair=0.0, start=0.0, interval=1.0, save=0.1)
    found = many(replay, site, 6.0)
    expected = (5 * math.expm1(0.5 * 1.1) + math.expm1(0.5 * 1.0)) / 0.5
    assert_mean([each.makespan for each in found], expected)


def test_expected_lost_work_of_a_failure(replay):
    # the time of an exponential failure within a period T: 1/r - T / (exp(r T) - 1)
    site = replay.Site(1, per_node=1, failures=500, repair=0.0, start=0.0, interval=2.0)
    found = many(replay, site, 20.0)
    lost, failed = sum(each.lost for each in found), sum(each.failed for each in found)
    assert failed > 2000
    assert lost / failed == pytest.approx(1 / 0.5 - 2 / math.expm1(0.5 * 2), rel=0.05)


def test_expected_number_of_preemptions_which_lose_nothing(replay):
    site = replay.Site(1, preemptions=200, start=0.0)
    found = many(replay, site, 10.0)
    assert_mean([each.preempted for each in found], 0.2 * 10)
    assert sum(each.lost for each in found) == 0
    assert [each.makespan for each in found] == pytest.approx([10.0] * len(found))


def test_a_broken_node_takes_all_its_gpus_for_its_repair(replay):
    site = replay.Site(4, per_node=4, failures=50, repair=3.0, start=0.0, interval=100.0)
    hours = dict.fromkeys(names(40), 5.0)
    found = replay.replay(hours, list(hours), {}, site, seed=3)
    assert found.failed > 8
    assert found.failed % 4 == 0  # four at a time, until the last jobs
    assert found.down >= 12
    assert found.work == 200
    assert found.makespan > 200 / 4 + found.down / 4


def test_all_time_is_accounted_for(replay):
    random = np.random.default_rng(2)
    hours = {name: float(random.uniform(1, 9)) for name in names(200)}
    site = replay.Site(16, per_node=8, failures=20, preemptions=30, interval=0.5, save=0.01)
    found = replay.replay(hours, list(hours), {}, site)
    assert found.failed > 5
    assert found.preempted > 5
    assert found.work == pytest.approx(sum(hours.values()))
    assert 0 < found.idle(16) < 0.2


def test_one_gpu_is_never_idle(replay):
    site = replay.Site(1, per_node=1, failures=50, preemptions=50, interval=0.5, save=0.01)
    for seed in range(20):
        found = replay.replay(dict.fromkeys(names(30), 4.0), names(30), {}, site, seed)
        spent = found.work + found.lost + found.saving + found.starting + found.down
        assert spent == pytest.approx(found.makespan)
        assert found.failed > 0


@pytest.mark.parametrize("failures", [0.1, 1, 10])
def test_the_closed_form_is_least_at_youngs_interval(replay, failures):
    save = 5 / 3600
    grid = np.geomspace(0.01, 100, 4001)
    least = min(grid, key=lambda interval: replay.overhead(interval, save, failures))
    assert least == pytest.approx(replay.young(save, failures), rel=0.05)


def test_the_closed_form_of_the_overhead_is_that_of_the_simulation(replay):
    site = replay.Site(1, per_node=1, failures=100, repair=0.0, start=0.0, interval=1.0, save=0.05)
    found = many(replay, site, 50.0)
    # the last period has no checkpoint
    assert_mean([each.makespan for each in found], 50 * (1 + replay.overhead(1.0, 0.05, 100)))
