"""Simulates a grid of runs on a number of GPUs whose nodes fail and whose jobs are pre-empted.

Jobs start as the workflow starts them: a free GPU takes the first one in order that waits for nothing. A node
fails at random (exponential times between failures) and kills the jobs on it, which go on from their last
checkpoints on the first free GPUs. A pre-empted job is told in time and saves first. Times are in hours.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Site:
    """The machines, and how runs save on them.

    Attributes
    ----------
    gpus: in all. per_node: GPUs of a node; the last one may have fewer.
    failures: of a node, mean number per 1,000 hours. repair: hours until a failed node is back.
    preemptions: of a job, mean number per 1,000 hours.
    start: hours from a job's start to its first step. interval: of useful work between two checkpoints.
    save: hours that training stands still for one checkpoint.
    """

    gpus: int
    per_node: int = 8
    failures: float = 0.0
    repair: float = 1.0
    preemptions: float = 0.0
    start: float = 2 / 60
    interval: float = 1 / 60
    save: float = 0.0


@dataclass
class Replay:
    """What came of it, in hours; those of GPUs are summed over all of them.

    Attributes
    ----------
    makespan: until the last job ended. work: of the jobs themselves. lost: done again after a failure.
    saving: stood still for checkpoints. starting: from a job's start to its first step, however often.
    down: of GPUs whose node was broken. failed: jobs that a failure killed. preempted: jobs that were.
    """

    makespan: float = 0.0
    work: float = 0.0
    lost: float = 0.0
    saving: float = 0.0
    starting: float = 0.0
    down: float = 0.0
    failed: int = 0
    preempted: int = 0
    ends: dict[str, float] = field(default_factory=dict)

    def idle(self, gpus: int) -> float:
        """Return the share of the GPUs' time in which they had no job, broken nodes aside; 0 to 1."""
        busy = self.work + self.lost + self.saving + self.starting + self.down
        return max(0.0, 1 - busy / (gpus * self.makespan)) if self.makespan else 0.0


@dataclass
class _Attempt:
    job: str
    began: float
    kept: float  # hours of the job's work that a checkpoint holds


class _Machines:
    """Which GPUs are free, and when nodes fail and come back."""

    def __init__(self, site: Site, random: np.random.Generator) -> None:
        self.site = site
        self.free = list(range(site.gpus))
        self.random = random
        self.nodes = math.ceil(site.gpus / site.per_node)
        self.broken: dict[int, float] = {}  # node -> when it is back

    def of(self, node: int) -> range:
        """Return the GPUs of a node."""
        return range(node * self.site.per_node, min(self.site.gpus, (node + 1) * self.site.per_node))

    def next_failure(self, now: float) -> float:
        """Return when a node that works now fails."""
        return now + _exponential(self.random, self.site.failures)


def replay(
    hours: Mapping[str, float],
    order: Sequence[str],
    needs: Mapping[str, Sequence[str]],
    site: Site,
    seed: int = 0,
) -> Replay:
    """Return what comes of all jobs on `site`.

    Parameters
    ----------
    hours: job -> hours of its work on one GPU, above 0. order: all of them, the most urgent first.
    needs: job -> jobs that have to end before it starts. seed: of the failures and pre-emptions.
    """
    random = np.random.default_rng(seed)
    machines, found = _Machines(site, random), Replay()
    rank = {name: place for place, name in enumerate(order)}
    waits = {name: {need for need in needs.get(name, ()) if need in hours} for name in order}
    users: dict[str, list[str]] = {}
    for name, these in waits.items():
        for need in these:
            users.setdefault(need, []).append(name)
    ready = [(rank[name], name) for name in order if not waits[name]]
    heapq.heapify(ready)
    kept = dict.fromkeys(order, 0.0)
    running: dict[int, _Attempt] = {}
    count = 0
    events: list[tuple[float, int, str, int, _Attempt | None]] = []

    def at(time: float, kind: str, place: int, attempt: _Attempt | None = None) -> None:
        nonlocal count
        if time < math.inf:
            heapq.heappush(events, (time, count, kind, place, attempt))
            count += 1

    def stop(gpu: int, now: float, told: bool) -> None:
        attempt = running.pop(gpu)
        saved, lost, saving, starting = progress(site, now - attempt.began, told)
        kept[attempt.job] = attempt.kept + saved
        found.lost, found.saving, found.starting = (
            found.lost + lost,
            found.saving + saving,
            found.starting + starting,
        )
        heapq.heappush(ready, (rank[attempt.job], attempt.job))

    for node in range(machines.nodes):
        at(machines.next_failure(0.0), "fails", node)
    now, left = 0.0, len(order)
    while left:
        while ready and machines.free:
            _, name = heapq.heappop(ready)
            gpu = heapq.heappop(machines.free)
            running[gpu] = attempt = _Attempt(name, now, kept[name])
            at(now + _length(site, hours[name] - kept[name]), "ends", gpu, attempt)
            at(now + _exponential(random, site.preemptions), "preempted", gpu, attempt)
        now, _, kind, place, attempt = heapq.heappop(events)
        if kind == "ends" and running.get(place) is attempt and attempt is not None:
            del running[place]
            heapq.heappush(machines.free, place)
            own = hours[attempt.job] - attempt.kept
            found.saving += _saves(site, own) * site.save
            found.starting += site.start
            found.work += hours[attempt.job]
            found.ends[attempt.job] = now
            left -= 1
            for user in users.get(attempt.job, ()):
                waits[user].discard(attempt.job)
                if not waits[user]:
                    heapq.heappush(ready, (rank[user], user))
        elif kind == "preempted" and running.get(place) is attempt:
            found.preempted += 1
            stop(place, now, told=True)
            heapq.heappush(machines.free, place)
        elif kind == "fails":
            machines.broken[place] = now + site.repair
            for gpu in machines.of(place):
                if gpu in running:
                    found.failed += 1
                    stop(gpu, now, told=False)
                else:
                    machines.free.remove(gpu)
            heapq.heapify(machines.free)
            found.down += len(machines.of(place)) * site.repair
            at(now + site.repair, "back", place)
        elif kind == "back":
            del machines.broken[place]
            for gpu in machines.of(place):
                heapq.heappush(machines.free, gpu)
            at(machines.next_failure(now), "fails", place)
    found.down -= sum((back - now) * len(machines.of(node)) for node, back in machines.broken.items())
    found.makespan = now
    return found


def progress(site: Site, elapsed: float, told: bool) -> tuple[float, float, float, float]:
    """Return hours of work saved and lost, of saving and of starting, in an attempt that was stopped.

    Parameters
    ----------
    elapsed: since the job's start. told: it saved on a signal, so that nothing is lost.
    """
    starting = min(elapsed, site.start)
    running = elapsed - starting
    period = site.interval + site.save
    whole = math.floor(running / period)
    rest = running - whole * period
    begun = min(
        rest, site.interval
    )  # work since the last checkpoint; the rest went into one that was not ended
    saved = whole * site.interval + (begun if told else 0.0)
    return saved, 0.0 if told else begun, whole * site.save + (rest - begun), starting


def _length(site: Site, work: float) -> float:
    return site.start + work + _saves(site, work) * site.save


def _saves(site: Site, work: float) -> int:
    """Return how many checkpoints an attempt writes; none at the end of its work, which writes results."""
    return max(0, math.ceil(work / site.interval - 1e-9) - 1)


def _exponential(random: np.random.Generator, per_1000_hours: float) -> float:
    return float(random.exponential(1000 / per_1000_hours)) if per_1000_hours else math.inf


def overhead(interval: float, save: float, failures: float, start: float = 0.0) -> float:
    """Return the expected time beyond the work, as a share of it, of a job that is killed at random.

    Each period of T = interval + save hours has to pass without a failure. At r failures per hour that takes
    (exp(r T) - 1) (1 / r + start) hours in the mean (Daly 2006, before his approximations; that a start may
    be cut short too is neglected).

    Parameters
    ----------
    failures: per 1,000 hours. start: hours from a job's start to its first step.
    """
    period, rate = interval + save, failures / 1000
    if not rate:
        return save / interval
    return math.expm1(rate * period) * (1 / rate + start) / interval - 1


def young(save: float, failures: float) -> float:
    """Return the interval in hours with the least overhead: sqrt(2 save / rate) (Young 1974)."""
    return math.sqrt(2 * save / (failures / 1000))
