"""Runs the forward passes of several shards of a batch in turns, up to each point where they meet.

A synchronised batch norm needs the images of all shards. Among processes it exchanges statistics while each
process is at the same layer; in one process the shards are forward passes that pause at that layer until all
of them have reached it. Each is a thread, of which only one runs at a time, in a fixed order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch

T = TypeVar("T")
Turn = Callable[[int], AbstractContextManager[Any]]
Join = Callable[[list[Any]], list[Any]]

_here = threading.local()


class _Left(BaseException):
    """Ends a shard's thread after another shard has failed."""


class _Shard:
    """One forward pass, which `resume` runs up to the next meeting or to its end."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.meeting: tuple[object, Any, Join, bool] | None = None
        self.outcome: Any = None
        self._work = work
        self._failed: BaseException | None = None
        self._given: Any = None
        self._leave = False
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def resume(self, given: Any) -> None:
        """Continue with `given` as the outcome of the meeting; an exception of the pass is raised here."""
        self._given, self.meeting = given, None
        self._go.release()
        self._paused.acquire()
        if self._failed is not None:
            raise self._failed

    def leave(self) -> None:
        """End the thread at its meeting, or where it is done."""
        self._leave = True
        self._go.release()

    def meet(self, meeting: tuple[object, Any, Join, bool]) -> Any:
        """Pause at a meeting, in the thread itself; return what `resume` was given."""
        self.meeting = meeting
        self._paused.release()
        self._wait()
        return self._given

    def _wait(self) -> None:
        self._go.acquire()
        if self._leave:
            raise _Left

    def _run(self) -> None:
        _here.shard = self
        try:
            self._wait()
            self.outcome = self._work()
        except _Left:
            pass
        except BaseException as error:  # raised again by `resume`, in the thread that waits for this one
            self._failed = error
        finally:
            self._paused.release()


def in_new_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises, from a thread that has made no graph before.

    Autograd adds up gradients in the order of the graph's nodes, which every thread numbers for itself from
    0. A graph that several threads have made is therefore added up in one order in every step, and after
    every restart, only if none of them has made another graph before.
    """
    with ThreadPoolExecutor(1, "shards") as thread:
        return thread.submit(work).result()


def in_turns(works: Sequence[Callable[[], T]], turn: Turn) -> list[T]:
    """Return what each of `works` returns, run in turns from meeting to meeting, the last one first.

    Parameters
    ----------
    turn: returns the context of each turn of the shard of this number, from 0.

    Raises
    ------
    RuntimeError: they do not come to the same meetings in the same order.
    """
    shards = [_Shard(work) for work in works]
    given: list[Any] = [None] * len(shards)
    try:
        while True:
            for number in reversed(range(len(shards))):
                with turn(number):
                    shards[number].resume(given[number])
            meetings = [shard.meeting for shard in shards]
            if all(meeting is None for meeting in meetings):
                return [shard.outcome for shard in shards]
            given = _held(meetings)
    finally:
        for shard in shards:
            shard.leave()


def _held(meetings: Sequence[tuple[object, Any, Join, bool] | None]) -> list[Any]:
    first = meetings[0]
    if first is None or any(one is None or one[0] is not first[0] for one in meetings):
        raise RuntimeError("the shards of a batch came to different layers")
    _, _, join, gradients = first
    with torch.set_grad_enabled(gradients):  # a setting of each thread
        return join([one[1] for one in meetings if one is not None])


def meeting_others() -> bool:
    """Return whether this is one of several forward passes that run in turns."""
    return getattr(_here, "shard", None) is not None


def meet(place: object, mine: Any, join: Join) -> Any:
    """Return this shard's part of what `join` makes of the list of all shards' values, in their order.

    Alone, `join` gets a list of one.

    Parameters
    ----------
    place: where they meet, an object that is the same for all of them.
    """
    shard = getattr(_here, "shard", None)
    if shard is None:
        return join([mine])[0]
    return shard.meet((place, mine, join, torch.is_grad_enabled()))
