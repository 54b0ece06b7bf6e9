"""Locks that the kernel releases when the process that took them ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_held: set[int] = set()


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of a file, made if need be, or of a folder, during the block; wait until it is free.

    Processes forked in the block do not hold it: it is this process's alone.

    Parameters
    ----------
    shared: others may hold it too that ask so.

    Raises
    ------
    OSError: the file cannot be opened, or its file system has no such locks.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock of a file; False where there is none.

    While it looks, it holds the lock itself: those who look take turns.

    Raises
    ------
    OSError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _leave() -> None:
    """In a forked process: close its copies, with which it would hold the locks too."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_leave)
