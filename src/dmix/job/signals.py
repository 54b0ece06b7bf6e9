"""Pre-emption and time limits: note the signal, finish the step, save, leave."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 75
"""Exit status of a run that saved its state and wants to be started again (EX_TEMPFAIL)."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """Whether, and by which signal, the run was asked to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: remember the first signal, do nothing else."""
        self.signal = self.signal or signal.Signals(number)


@contextmanager
def watched() -> Iterator[Stop]:
    """Turn SIGTERM, SIGINT and SIGUSR1 into a noted wish for the length of the block."""
    stop = Stop()
    before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
