"""Notes stop signals (pre-emption, time limits), so that a run can finish its step and save."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 75
"""Exit status of a run that saved its state and has to be started again (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

GRACE_SECONDS = 15.0
"""Within this time of the first signal a step must end; SLURM kills a job after KillWait, by default 30 s."""

ONE_STOP_SECONDS = 0.5
"""Signals within this time of the first belong to it: torchrun and timeout pass theirs on as well."""

LEAVING_SECONDS = 10.0
"""Within this time a run that leaves must have ended; then it is ended as it is."""


class LeaveNow(BaseException):
    """Ends a run without saving: no exception that training code may catch."""


class Stop:
    """The first stop signal that the run received, or None.

    The first signal asks for a save after the current step. If the step does not end within `GRACE_SECONDS`
    (it may never), or at a second signal, the run leaves at once: `LeaveNow` is raised in the main thread.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.again = False
        self.leaving = False
        self._saving = False
        self._first = 0.0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: remember the first signal, leave at the second."""
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._first = signal.Signals(number), now
            self._wait_for_step()
        elif now - self._first >= ONE_STOP_SECONDS:
            self.again = True
            self._leave()

    def overdue(self, number: int, frame: FrameType | None) -> None:
        """Signal handler of the timer: the step did not end, or leaving takes too long."""
        self._leave()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Let files be written during the block: signals do not interrupt it, only its waiting for a disk."""
        self._saving = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            yield
        finally:
            self._saving = False
            if self.signal is not None:
                self._wait_for_step()

    def _wait_for_step(self) -> None:
        if not self._saving:
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)

    def _leave(self) -> None:
        if self._saving:
            return
        if self.leaving:
            os._exit(AGAIN)
        self.leaving = True
        signal.setitimer(signal.ITIMER_REAL, LEAVING_SECONDS)
        raise LeaveNow


@contextmanager
def watched() -> Iterator[Stop]:
    """Note SIGTERM, SIGINT and SIGUSR1 in a `Stop` during the block, in place of their usual effect.

    The handlers and the timer stay as they are when a run leaves: its clean-up may hang as well.
    """
    stop = Stop()
    before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop.overdue)
    try:
        yield stop
    finally:
        if not stop.leaving:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
