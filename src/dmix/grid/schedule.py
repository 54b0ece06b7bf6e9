"""Predicts when runs start and end on a number of GPUs: list scheduling, as the workflow starts its jobs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A run's place in the schedule: its GPUs, from 0, and its start and end in hours."""

    gpus: tuple[int, ...]
    start: float
    end: float


@dataclass(frozen=True)
class Schedule:
    """The jobs of a list schedule, in the order in which they start.

    Attributes
    ----------
    makespan: hours until the last job ends. work: hours of all jobs on all their GPUs together.
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
    hours: Mapping[str, float],
    order: Iterable[str],
    needs: Mapping[str, Sequence[str]],
    gpus: int,
    widths: Mapping[str, int] | None = None,
) -> Schedule:
    """Return the schedule in which free GPUs take the first job in `order` that waits for nothing.

    A job for which too few GPUs are free lets the next one that fits go first, as in the workflow.

    Parameters
    ----------
    hours: job -> hours, at least 0. order: all of these jobs, the most urgent first.
    needs: job -> jobs that have to end before it starts, without cycles. Those not in `hours` are over.
    gpus: at least 1. Of several free ones, the lowest take the next job.
    widths: job -> how many GPUs it takes, in 1..gpus; 1 where it is not named.
    """
    widths = widths or {}
    rank = {name: place for place, name in enumerate(order)}
    waits = {name: {need for need in needs.get(name, ()) if need in hours} for name in rank}
    users: dict[str, list[str]] = {}
    for name, these in waits.items():
        for need in these:
            users.setdefault(need, []).append(name)
    open_needs = {name: len(these) for name, these in waits.items()}
    # One queue for each width: the first job that fits is then found without a look at those that do not.
    ready: dict[int, list[tuple[int, str]]] = {}

    def add(name: str) -> None:
        heapq.heappush(ready.setdefault(widths.get(name, 1), []), (rank[name], name))

    for name in rank:
        if not open_needs[name]:
            add(name)
    free = list(range(gpus))
    running: list[tuple[float, int, str]] = []
    jobs: dict[str, Job] = {}
    now = 0.0
    while running or any(ready.values()):
        while fitting := [queue for width, queue in ready.items() if queue and width <= len(free)]:
            _, name = heapq.heappop(min(fitting))
            taken = tuple(heapq.heappop(free) for _ in range(widths.get(name, 1)))
            jobs[name] = Job(taken, now, now + hours[name])
            heapq.heappush(running, (jobs[name].end, rank[name], name))
        now = running[0][0]
        while running and running[0][0] == now:  # all that end at once, before anything starts
            _, _, name = heapq.heappop(running)
            for gpu in jobs[name].gpus:
                heapq.heappush(free, gpu)
            for user in users.get(name, ()):
                open_needs[user] -= 1
                if not open_needs[user]:
                    add(user)
    chain = _critical_path(hours, jobs, waits)
    work = sum(hours[name] * widths.get(name, 1) for name in rank)
    return Schedule(jobs, now, work, chain, sum(hours[name] for name in chain))


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
