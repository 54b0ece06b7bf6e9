"""Keeps a run to one process at a time, by a lock file with a heartbeat.

A workflow that was killed and started again submits unfinished runs a second time while the first jobs
still run. The second process waits for the first instead of writing into its folder.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 120.0
POLL_SECONDS = 1.0


@contextmanager
def held(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path`; wait, and `tell` once, while a living process holds it.

    A holder is dead if its process is gone (same host), or if its heartbeat is older than two minutes
    (other hosts, whose processes cannot be seen).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while not _take(path):
        owner = _read(path)
        if owner is None:
            continue
        if not _alive(path, owner):
            # Rename first: one of several waiting processes wins, and a new holder's lock is never removed.
            _discard(path, owner)
            continue
        if not told:
            tell(f"waiting: process {owner['pid']} on {owner['host']} is training this run ({path})")
            told = True
        time.sleep(POLL_SECONDS)
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    """Create the lock together with its content; return False if it exists."""
    mine = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    mine.write_text(json.dumps(_me()))
    try:
        os.link(mine, path)
    except FileExistsError:
        return False
    else:
        return True
    finally:
        mine.unlink()


def _discard(path: Path, owner: dict[str, Any]) -> None:
    grave = path.with_name(f"{path.name}.dead.{secrets.token_hex(4)}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    if _read(grave) != owner and _take_back(grave, path):
        return
    grave.unlink(missing_ok=True)


def _take_back(grave: Path, path: Path) -> bool:
    """Put back a lock that belongs to a new holder; return False if there is another one by now."""
    try:
        os.link(grave, path)
    except FileExistsError:
        return False
    grave.unlink()
    return True


def _me() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "born": _birth(pid),
        "job": os.environ.get("SLURM_JOB_ID", ""),
    }


def _birth(pid: int) -> str:
    """Return the start time of a process from /proc, or ""; it tells apart processes with the same number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        owner: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return owner


def _alive(path: Path, owner: dict[str, Any]) -> bool:
    if owner["host"] == socket.gethostname():
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return _birth(int(owner["pid"])) == str(owner["born"])
    try:
        return time.time() - path.stat().st_mtime < DEAD_AFTER_SECONDS
    except FileNotFoundError:
        return False


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
