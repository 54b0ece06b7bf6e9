"""Overlaps file operations: a network file system takes milliseconds for each, and serves many at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

THREADS = 64
TRIED = 16
QUICK_SECONDS = 0.0005
"""On a disk of this machine an operation takes less than this; threads would only make it slower."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapped(act: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return `act` of each item, in their order; many are under way at a time where the first take long.

    Parameters
    ----------
    act: looks at files; may be called from several threads at once.

    Raises
    ------
    What `act` raises.
    """
    todo = list(items)
    start = time.perf_counter()
    first = [act(item) for item in todo[:TRIED]]
    rest = todo[TRIED:]
    if not rest or time.perf_counter() - start < TRIED * QUICK_SECONDS:
        return [*first, *map(act, rest)]
    shares = [rest[at : at + _share(rest)] for at in range(0, len(rest), _share(rest))]
    with ThreadPoolExecutor(THREADS) as threads:
        found = threads.map(lambda share: [act(item) for item in share], shares)
        return [*first, *chain.from_iterable(found)]


def stats(paths: Sequence[str]) -> list[os.stat_result | None]:
    """Return what the file system says of each path, None of one that is not there or cannot be seen."""
    return overlapped(_stat, paths)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a Path for each of 10,000 takes longer than the stat
    except OSError:
        return None


def _share(items: Sequence[object]) -> int:
    """Return how many items a thread takes at once: few, because some take longer than others."""
    return max(1, len(items) // (4 * THREADS))
