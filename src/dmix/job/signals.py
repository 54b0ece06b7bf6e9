"""Notes stop signals (pre-emption, time limits), so that a run can finish its step and save."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 75
"""Exit status of a run that saved its state and has to be started again (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """The first stop signal that the run received, or None."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: remember the first signal, do nothing else."""
        self.signal = self.signal or signal.Signals(number)


@contextmanager
def watched() -> Iterator[Stop]:
    """Note SIGTERM, SIGINT and SIGUSR1 in a `Stop` during the block, in place of their usual effect."""
    stop = Stop()
    before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
