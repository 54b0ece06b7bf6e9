"""Says which process holds a file, and whether that process lives.

A process on the same machine, and in the same container, is looked up. Of any other only a sign of life can
be seen: it touches the file every ten seconds (`dmix.lock`). Both times of that comparison are the file
system's own, because the clocks of two machines differ.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

DEAD_AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class Holder:
    """A process: its host, number, time of birth and SLURM job, each "" where it is unknown.

    `place` tells apart machines and containers that have the same host name.
    """

    host: str
    pid: int
    born: str = ""
    job: str = ""
    place: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}{self.job and f' (SLURM job {self.job})'}"

    @property
    def text(self) -> str:
        """Content of a file that this process holds."""
        return json.dumps(asdict(self))


def me() -> Holder:
    """Return this process."""
    pid = os.getpid()
    return Holder(
        socket.gethostname(), pid, _birth(pid) or "", os.environ.get("SLURM_JOB_ID", ""), _place(pid)
    )


def parse(content: bytes) -> Holder | None:
    """Return the holder that a file with this content names; None if it is empty or broken."""
    try:
        values = json.loads(content)
        holder = Holder(**values)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (holder.host, holder.born, holder.job, holder.place)
    number = type(holder.pid) is int and 0 < holder.pid < 2**31
    return holder if number and all(isinstance(text, str) for text in texts) else None


def holder_of(path: Path) -> Holder | None:
    """Return the holder of the file `path` if it lives.

    An empty or broken file has a holder, without a name, while it shows signs of life.
    """
    try:
        holder = parse(path.read_bytes())
    except FileNotFoundError:
        return None
    return (holder or Holder("an unknown host", 0)) if lives(path, holder) else None


def lives(path: Path, holder: Holder | None) -> bool:
    """Return whether `holder`, which the file `path` names, lives; None stands for an unknown holder."""
    if holder and holder.place and (holder.host, holder.place) == (socket.gethostname(), _place(os.getpid())):
        born = _birth(holder.pid)
        return born is not None and (not born or not holder.born or born == holder.born)
    try:
        # A time in the future is no sign of life either: that clock was put back since.
        return abs(age(path)) < DEAD_AFTER_SECONDS
    except FileNotFoundError:
        return False


def age(path: Path) -> float:
    """Return how long ago a file was touched, in seconds, by the clock of its file system."""
    return now(path.parent) - path.stat().st_mtime


def now(folder: Path) -> float:
    """Return the time of the clock that stamps files in `folder`; of this machine if that is read-only."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock.", suffix=".part") as probe:
            os.utime(probe.name)
            return Path(probe.name).stat().st_mtime
    except OSError:
        return time.time()


@cache
def _place(pid: int) -> str:
    """Return what two processes have in common exactly if they see each other's numbers; "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path(f'/proc/{pid}/ns/pid').readlink()}"
    except OSError:
        # Without /proc (macOS) there are no containers either.
        return "" if Path("/proc/self").exists() else "no /proc"


def _birth(pid: int) -> str | None:
    """Return the start time of a process, None if it is gone or a zombie, "" if nothing is known of it.

    The start time tells apart processes that had the same number one after the other.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it lives, under another user
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return None if fields[0] in "ZX" else fields[19]
