"""Tries again to write files, because a full disk or a silent file server often passes within a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dmix.files import CannotWrite
from dmix.job.say import say

T = TypeVar("T")
LONGEST_WAIT = 10.0


def patiently(write: Callable[[], T], seconds: float, go_on: Callable[[], bool]) -> T:
    """Return what `write` returns, calling it again for `seconds` while it cannot write, and say so once.

    Parameters
    ----------
    write: may be called several times; leaves nothing half-written when it fails.
    go_on: asked before each further call.

    Raises
    ------
    CannotWrite: of the last call.
    """
    end, wait, told = time.monotonic() + seconds, min(1.0, seconds / 4), False
    while True:
        try:
            return write()
        except CannotWrite as error:
            if not error.passing or time.monotonic() + wait > end or not go_on():
                raise
            if not told:
                say(f"{error.message}; trying again for {seconds:.0f} s")
                told = True
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)
