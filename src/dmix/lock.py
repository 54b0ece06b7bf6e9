"""Keeps work to one process at a time, by a lock file with a heartbeat.

A workflow that was killed and started again submits unfinished runs a second time while the first jobs
still run. The second process waits for the first instead of writing into its folder.

The file names its holder. It needs neither `flock`, which some cluster file systems and folders of
containers lack, nor hard links. Who takes over the lock of a dead process first renames it, so that of
several processes one wins.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dmix.errors import DmixError
from dmix.holder import Holder, lives, me, parse

HEARTBEAT_SECONDS = 10.0
POLL_SECONDS = 0.5


@contextmanager
def held(path: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path` during the block; while a living process holds it, wait.

    Before it waits, `tell` is called once, with the holder, such as "process 12 on host7". A holder is dead
    if its process is gone or, where its processes cannot be seen, if it gave no sign of life for two minutes;
    so is the unknown holder of an empty or broken file.

    Raises
    ------
    DmixError: the file cannot be written.
    """
    told = False
    while not (content := _try(path)):
        if not told:
            tell(_holder(path))
            told = True
        time.sleep(POLL_SECONDS)
    with _kept(path, content):
        yield


@contextmanager
def attempt(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` during the block if no living process holds it; yield whether it is held.

    Raises
    ------
    DmixError: the file cannot be written.
    """
    content = _try(path)
    if not content:
        yield False
        return
    with _kept(path, content):
        yield True


def _try(path: Path) -> bytes:
    """Take the lock if it is free or its holder dead; return its content, or b"" if its holder lives."""
    content = me().text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return content if _take(path, content) or (_discard_dead(path) and _take(path, content)) else b""
    except OSError as error:
        raise DmixError(
            f"cannot make the lock file {path}: {error.strerror or error}",
            f"make {path.parent} writable and free some disk space, then run the same command again",
            exit_code=1,
        ) from error


@contextmanager
def _kept(path: Path, content: bytes) -> Iterator[None]:
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, content, stop), daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()
        if _content(path) == content:
            path.unlink(missing_ok=True)


def _take(path: Path, content: bytes) -> bool:
    """Create the lock together with its content; return False if it exists."""
    mine = _beside(path)
    mine.write_bytes(content)
    try:
        os.link(mine, path)
    except FileExistsError:
        return _links(mine) == 2  # NFS may lose the answer to a link and ask again
    except OSError:
        return _create(path, content)  # no hard links here (exFAT, gcsfuse, some SMB)
    else:
        return True
    finally:
        mine.unlink(missing_ok=True)


def _create(path: Path, content: bytes) -> bool:
    """Create the lock, then write its content; return False if it exists or was taken away in between."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    try:
        with open(descriptor, "wb") as stream:
            stream.write(content)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return _content(path) == content


def _discard_dead(path: Path) -> bool:
    """Remove the lock if its holder is dead; return whether there is none now."""
    try:
        before, content = path.stat(), path.read_bytes()
    except FileNotFoundError:
        return True
    if lives(path, parse(content)):
        return False
    grave = _beside(path)
    try:
        path.rename(grave)
    except FileNotFoundError:
        return True
    found = grave.stat()
    same = (found.st_ino, found.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    if not same or grave.read_bytes() != content:
        # It was the lock of a new holder, which took over in between: put it back.
        try:
            os.link(grave, path)
        except FileExistsError:
            pass  # the next one has it, and that holder notices
        except OSError:
            _create(path, grave.read_bytes())
        grave.unlink(missing_ok=True)
        return False
    grave.unlink(missing_ok=True)
    return True


def _links(path: Path) -> int:
    try:
        return path.stat().st_nlink
    except FileNotFoundError:
        return 0


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _holder(path: Path) -> str:
    holder: Holder | None = parse(_content(path) or b"")
    return str(holder) if holder else f"an unknown process ({path} is empty or broken)"


def _beat(path: Path, content: bytes, stop: threading.Event) -> None:
    """Touch the lock every ten seconds; end this process gently if it lost the lock.

    That happens to a process that was suspended for minutes: others took it for dead.
    """
    while not stop.wait(HEARTBEAT_SECONDS):
        with suppress(OSError):  # a full or absent disk: the next beat may get through
            if not path.exists():
                _take(path, content)
            if path.read_bytes() == content:
                os.utime(path)
            elif not stop.is_set():
                os.kill(os.getpid(), signal.SIGTERM)
                return
