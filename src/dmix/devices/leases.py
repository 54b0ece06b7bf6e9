"""Lease the devices of this machine to jobs, so that each has its own, or its share of one.

A job asks by a *ticket*: a file in a local folder, locked by the job's own process for as long as that
lives. The kernel releases the lock however the process ends, so a killed job keeps no lease, and no process
number or time is compared. Whoever finds a ticket unlocked removes it.

Tickets are read and granted under one more lock, `turn`, for milliseconds. All jobs of a user on the machine
take part, of any checkout and driver. Other programs do not: CUDA_VISIBLE_DEVICES keeps dmix off their
devices.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from dmix.devices.flock import is_locked, locked
from dmix.devices.folder import lease_folder
from dmix.errors import DmixError
from dmix.reading import read_json

POLL_SECONDS = 0.5
WAY_OUT = "delete it, when no run of it is left"


@dataclass(frozen=True)
class Ticket:
    """What one process asks for, and what it has.

    Attributes
    ----------
    label: the run, for people.
    wanted: names of the devices that it can use.
    share: the part of a device that it takes, in 0..1: 1 to be alone, 1/4 where four such runs share one.
    group, rank, size: processes that train one run together get different devices, all at one time.
    given: the devices of its group, in the order of ranks; empty while it waits.
    """

    label: str
    wanted: tuple[str, ...]
    share: Fraction
    pid: int
    group: str
    rank: int = 0
    size: int = 1
    given: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device that this process computes on; "" while it waits."""
        return self.given[self.rank] if self.given else ""

    @property
    def text(self) -> str:
        """The content of its file."""
        return json.dumps({**vars(self), "share": str(self.share)})


@contextmanager
def leased(ticket: Ticket, tell: Callable[[str], None]) -> Iterator[tuple[str, ...]]:
    """Lease devices during the block, after waiting until they are free; yield those of the ticket's group.

    Parameters
    ----------
    tell: is called once, with the reason, before the ticket waits.

    Raises
    ------
    DmixError: the group needs more devices than it wants, or tickets cannot be written.
    """
    if ticket.size > len(ticket.wanted):
        raise DmixError(
            f"{ticket.label}: {ticket.size} processes, each with a device of {', '.join(ticket.wanted)}",
            "start fewer processes, or list more devices",
        )
    folder = lease_folder()
    with ExitStack() as stack:
        try:
            path = stack.enter_context(_filed(folder, ticket))
            if not (given := _ask(folder, path)):
                tell(f"{ticket.label}: waiting for a device: {', '.join(ticket.wanted)} are in use")
            while not given:
                time.sleep(POLL_SECONDS)
                given = _ask(folder, path)
        except OSError as error:
            raise DmixError(
                f"cannot lease a device: {error.filename or folder}: {error.strerror}",
                f"make {folder} writable, on a local disk with some space, then run the same command again",
                exit_code=1,
            ) from error
        yield given


def tickets() -> list[Ticket]:
    """Return the tickets of the jobs on this machine, those that have a device and those that wait."""
    folder = lease_folder()
    with locked(folder / "turn"):
        return list(_living(folder).values())


def choose(own: Ticket, others: Sequence[Ticket]) -> tuple[str, ...]:
    """Return devices with room for a ticket's group, one for each rank, or () if there are too few.

    They are the least used ones; but while another ticket waits that needs more of a device, the most used
    ones, so that one drains for it.
    """
    used: defaultdict[str, Fraction] = defaultdict(Fraction)
    for each in others:
        if each.device:
            used[each.device] += each.share
    room = [name for name in own.wanted if used[name] + own.share <= 1]
    larger = any(not each.device and each.share > own.share for each in others)
    room.sort(key=lambda name: used[name], reverse=larger)
    return tuple(room[: own.size]) if len(room) >= own.size else ()


def _ask(folder: Path, path: Path) -> tuple[str, ...]:
    """Return the devices of the ticket at `path`, after granting free ones to its group."""
    with locked(folder / "turn"):
        known = _living(folder)
        own = known[path]
        group = {place: each for place, each in known.items() if each.group == own.group}
        if own.given or len(group) < own.size:
            return own.given
        given = choose(own, [*known.values()])
        for place, each in group.items() if given else ():
            _extend(place, replace(each, given=given).text)
        return given


def _extend(path: Path, text: str) -> None:
    """Overwrite a ticket with a longer text, in one write: a kill leaves the old one or the new one."""
    with open(path, "r+b", buffering=0) as stream:
        stream.write(text.encode())


@contextmanager
def _filed(folder: Path, ticket: Ticket) -> Iterator[Path]:
    """Keep the ticket's file during the block, locked by this process."""
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.ticket"
    with ExitStack() as stack:
        # Where a folder is locked, systemd-tmpfiles deletes nothing in it that is some days old.
        stack.enter_context(locked(folder, shared=True))
        with locked(folder / "turn"):  # nobody may see it before it is locked
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(locked(path))
            path.write_text(ticket.text, encoding="utf-8")
        yield path


def _living(folder: Path) -> dict[Path, Ticket]:
    """Return the tickets of living processes, and remove those of dead ones."""
    found = {}
    for path in sorted(folder.glob("*.ticket")):
        if is_locked(path):
            found[path] = _read(path)
        else:
            path.unlink(missing_ok=True)
    return found


def _read(path: Path) -> Ticket:
    values = read_json(path, WAY_OUT)
    try:
        wanted, given = (tuple(map(str, values.pop(key))) for key in ("wanted", "given"))
        return Ticket(wanted=wanted, given=given, share=Fraction(values.pop("share")), **values)
    except (KeyError, TypeError, ValueError) as error:
        raise DmixError(f"{path} is no ticket of this version of dmix: {error}", WAY_OUT) from error
