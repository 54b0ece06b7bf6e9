"""Lets Snakemake go on after it was killed.

Snakemake locks the outputs that it makes, by files that name neither host nor process, so after a kill the
same command is refused until somebody unlocks the folder. Each Snakemake process that drives the workflow
therefore also holds a file with its name (`dmix.lock`). Where lock files lie and all who could have made them
are dead, they are removed.
"""

from __future__ import annotations

import atexit
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from dmix.holder import Holder, lives, me, parse
from dmix.lock import attempt, held

SNAKEMAKE = Path(".snakemake")
_announced = ExitStack()


def announce(tell: Callable[[str], None], folder: Path = SNAKEMAKE) -> None:
    """Remove the locks of killed drivers, and name this process as a driver of the workflow until it ends.

    Parameters
    ----------
    tell: prints a line for the user: which locks were removed, or which living driver holds some.
    folder: Snakemake's own folder.

    Raises
    ------
    DmixError: the folder cannot be written.
    """
    drivers = folder / "drivers"
    with held(drivers / "starting", _quiet):
        _remove_dead(folder, drivers, tell)
        own = drivers / f"{socket.gethostname()}-{os.getpid()}.driver"
        own.unlink(missing_ok=True)  # of an earlier process with this number
        _announced.enter_context(attempt(own))
    atexit.register(_announced.close)


def _remove_dead(folder: Path, drivers: Path, tell: Callable[[str], None]) -> None:
    files = sorted(drivers.glob("*.driver"))
    locks = sorted((folder / "locks").glob("*.lock"))
    known = {file: _named(file) for file in files}
    living = [holder for file, holder in known.items() if lives(file, holder)]
    if locks and living:
        tell(f"this folder is driven by {' and '.join(map(_name, living))}: {len(locks)} lock files stay")
    elif locks and files:
        for lock in locks:
            lock.unlink(missing_ok=True)
        dead = " and ".join(_name(holder) for holder in known.values())
        tell(f"Snakemake was killed here ({dead}): its locks are removed, and what is finished is kept")
    for file, holder in known.items():
        if holder != me() and not lives(file, holder):
            file.unlink(missing_ok=True)


def _named(file: Path) -> Holder | None:
    try:
        return parse(file.read_bytes())
    except FileNotFoundError:
        return None


def _name(holder: Holder | None) -> str:
    return str(holder) if holder else "an unknown process"


def _quiet(holder: str) -> None:
    """Wait without a word for another driver that is just starting, which takes no time."""
