"""Predicts when runs start and end on a number of GPUs: list scheduling, as the workflow starts its jobs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A run's place in the schedule: its GPU, from 0, and its start and end in hours."""

    gpu: int
    start: float
    end: float


@dataclass(frozen=True)
class Schedule:
    """The jobs of a list schedule, in the order in which they start.

    Attributes
    ----------
    makespan: hours until the last job ends. work: hours of all jobs together.
    chain: jobs of the critical path: each waits for the one before it, and no other chain is longer.
    chain_hours: its hours. No number of GPUs is faster.
    """

    jobs: Mapping[str, Job]
    makespan: float
    work: float
    chain: tuple[str, ...]
    chain_hours: float

    def bound(self, gpus: int) -> float:
        """Return the hours that no schedule on so many GPUs can beat."""
        return max(self.work / gpus, self.chain_hours)


def list_schedule(
    hours: Mapping[str, float], order: Iterable[str], needs: Mapping[str, Sequence[str]], gpus: int
) -> Schedule:
    """Return the schedule in which a free GPU takes the first job in `order` that waits for nothing.

    Parameters
    ----------
    hours: job -> hours, at least 0. order: all of these jobs, the most urgent first.
    needs: job -> jobs that have to end before it starts, without cycles. Those not in `hours` are over.
    gpus: at least 1. Of several free ones, the lowest takes the next job.
    """
    rank = {name: place for place, name in enumerate(order)}
    waits = {name: {need for need in needs.get(name, ()) if need in hours} for name in rank}
    users: dict[str, list[str]] = {}
    for name, these in waits.items():
        for need in these:
            users.setdefault(need, []).append(name)
    open_needs = {name: len(these) for name, these in waits.items()}
    ready = [(place, name) for name, place in rank.items() if not open_needs[name]]
    heapq.heapify(ready)
    free = list(range(gpus))
    running: list[tuple[float, int, str]] = []
    jobs: dict[str, Job] = {}
    now = 0.0
    while ready or running:
        while ready and free:
            _, name = heapq.heappop(ready)
            gpu = heapq.heappop(free)
            jobs[name] = Job(gpu, now, now + hours[name])
            heapq.heappush(running, (jobs[name].end, rank[name], name))
        now = running[0][0]
        while running and running[0][0] == now:  # all that end at once, before anything starts
            _, _, name = heapq.heappop(running)
            heapq.heappush(free, jobs[name].gpu)
            for user in users.get(name, ()):
                open_needs[user] -= 1
                if not open_needs[user]:
                    heapq.heappush(ready, (rank[user], user))
    chain = _critical_path(hours, jobs, waits)
    return Schedule(jobs, now, sum(hours[name] for name in rank), chain, sum(hours[name] for name in chain))


def _critical_path(
    hours: Mapping[str, float], order: Iterable[str], waits: Mapping[str, Iterable[str]]
) -> tuple[str, ...]:
    """Return the longest chain of jobs that wait for each other; `order` has each after what it waits for."""
    length: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for name in order:
        before[name] = max(waits[name], key=length.__getitem__, default=None)
        last = before[name]
        length[name] = hours[name] + (length[last] if last is not None else 0.0)
    chain: list[str] = []
    at = max(length, key=length.__getitem__, default=None)
    while at is not None:
        chain.append(at)
        at = before[at]
    return tuple(reversed(chain))
