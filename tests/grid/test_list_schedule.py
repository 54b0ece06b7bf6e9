"""List scheduling against a naive simulation, its bounds, and the critical path against all chains."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dmix.grid.schedule import list_schedule


def simulated(hours, order, needs, gpus, widths):
    """Step through whole hours: free GPUs, lowest first, take the first job that fits and waits for none."""
    busy, started, ended, now = [None] * gpus, {}, {}, 0
    while len(ended) < len(hours):
        for gpu, job in enumerate(busy):
            if job is not None and started[job][1] + hours[job] == now:
                ended[job], busy[gpu] = now, None
        for job in order:
            free = [gpu for gpu in range(gpus) if busy[gpu] is None]
            waits = any(need not in ended for need in needs.get(job, ()) if need in hours)
            if job not in started and not waits and len(free) >= widths[job]:
                taken = tuple(free[: widths[job]])
                started[job] = (taken, now)
                for gpu in taken:
                    busy[gpu] = job
        now += 1
    return {job: (taken, start, ended[job]) for job, (taken, start) in started.items()}


def chains(hours, needs):
    """Return the hours of every chain of jobs that wait for each other."""

    def up_to(job):
        before = [need for need in needs.get(job, ()) if need in hours]
        return [hours[job] + rest for need in before for rest in up_to(need)] or [hours[job]]

    return [length for job in hours for length in up_to(job)]


@pytest.mark.parametrize("seed", range(30))
def test_the_schedule_is_that_of_a_simulation(seed):
    rng = np.random.default_rng(seed)
    count, gpus = int(rng.integers(1, 25)), int(rng.integers(1, 6))
    names = [f"j{i}" for i in range(count)]
    hours = {name: int(rng.integers(1, 9)) for name in names}
    needs = {
        name: tuple(
            str(need) for need in rng.choice(names[:i], size=min(i, int(rng.integers(0, 3))), replace=False)
        )
        for i, name in enumerate(names)
        if i
    }
    needs["j0"] = ("over before",)
    order = [str(name) for name in rng.permutation(names)]
    widths = {name: int(rng.integers(1, gpus + 1)) if seed % 2 else 1 for name in names}
    found = list_schedule(hours, order, needs, gpus, widths if seed % 2 else None)
    assert {name: (job.gpus, job.start, job.end) for name, job in found.jobs.items()} == simulated(
        hours, order, needs, gpus, widths
    )
    assert found.makespan == max(job.end for job in found.jobs.values())
    assert found.work == sum(hours[name] * widths[name] for name in names)
    assert found.chain_hours == max(chains(hours, needs)) == sum(hours[name] for name in found.chain)
    for first, then in itertools.pairwise(found.chain):
        assert first in needs[then]
    assert found.bound(gpus) <= found.makespan
    if not seed % 2:  # Graham's bound on list schedules, of jobs on one GPU each
        assert found.makespan <= found.work / gpus + (1 - 1 / gpus) * found.chain_hours + 1e-9


def test_one_gpu_takes_all_the_hours_and_many_take_the_longest_chain():
    hours = {"source": 3.0, "tuned": 4.0, "a": 2.5, "b": 1.0}
    needs = {"tuned": ("source",)}
    assert list_schedule(hours, hours, needs, 1).makespan == 10.5
    many = list_schedule(hours, hours, needs, 100)
    assert (many.makespan, many.chain) == (7.0, ("source", "tuned"))
    assert many.bound(100) == 7.0
    assert many.jobs["tuned"].start == 3.0


def test_jobs_that_end_at_once_are_all_over_before_the_next_starts():
    hours = {"low": 1.0, "high": 1.0, "urgent": 1.0, "other": 1.0}
    found = list_schedule(hours, ["low", "high", "urgent", "other"], {"urgent": ("high",)}, 2)
    assert (found.jobs["urgent"].start, found.jobs["urgent"].gpus) == (1.0, (0,))
    assert found.jobs["other"].gpus == (1,)


def test_nothing_to_do_takes_no_time():
    found = list_schedule({}, [], {}, 4)
    assert (found.makespan, found.chain, found.bound(4)) == (0.0, (), 0.0)
