"""Writes files and folders atomically, removes what killed processes left, and computes digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dmix.errors import DmixError
from dmix.holder import DEAD_AFTER_SECONDS, age, lives, now, parse

# What may pass by itself: somebody makes room, or a file server answers again.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN)

ABANDONED_SECONDS = 3600.0
"""What nobody has written to for an hour is no file in the making, where no lock tells."""


class CannotWrite(DmixError):
    """A file cannot be written; `passing` says whether it may be possible later, as when the disk is full."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"cannot write {path}: {error.strerror or error}",
            f"make {path.parent} writable and free some disk space, then run the same command again",
            exit_code=1,
        )
        self.passing = error.errno in _PASSING


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for binary writing, and rename it to `path` on success.

    The bytes and the directory entry are fsynced, so that after a crash `path` has the old content or the
    new one, never a part of it. On an error no temporary file is left.

    Raises
    ------
    CannotWrite: the folder cannot be written, or the disk is full.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
            _sync_entry(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotWrite(path, error) from error


def publish(part: Path, path: Path) -> None:
    """Rename the complete file `part` to `path` when its bytes are on the disk; both are on one file system.

    Raises
    ------
    OSError: the folder cannot be written, or the disk is full.
    """
    with open(part, "rb") as stream:
        os.fsync(stream.fileno())
    os.replace(part, path)
    _sync_entry(path)


def publish_folder(draft: Path, folder: Path) -> None:
    """Rename the complete folder `draft`, or a link in its place, to `folder` when all of it is on the disk.

    Raises
    ------
    OSError: the parent folder cannot be written, or `folder` exists.
    """
    os.sync()  # once for all disks, where one call per file of a data set would take minutes
    draft.rename(folder)
    _sync_entry(folder)


def _sync_entry(path: Path) -> None:
    """Put the directory entry of `path` on the disk."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        # Some network and user-space file systems have no such call for folders; they need none.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF):
            raise
    finally:
        os.close(folder)


def leftovers(folder: Path, minimum_age: float = 0.0) -> list[Path]:
    """Return the temporary files directly in `folder` that killed processes left.

    Parameters
    ----------
    minimum_age: seconds since a file was last written; 0 only if nobody else writes to `folder`. Processes
        that wait for a lock in it may come and go: theirs are left while they live, or for two minutes if
        it cannot be told whose they are.
    """
    return [part for part in sorted(folder.glob("*.part")) if _abandoned(part, minimum_age)]


def unfinished_folders(place: Path, name: str = "*") -> list[Path]:
    """Return the drafts of the folder `name` in `place` in which nobody wrote for an hour."""
    found = sorted(path for path in place.glob(f".{name}.????????.part*") if path.is_dir())
    if not found:
        return []
    limit = now(place) - ABANDONED_SECONDS
    return [
        draft for draft in found if all(path.stat().st_mtime < limit for path in (draft, *draft.rglob("*")))
    ]


def _abandoned(part: Path, minimum_age: float) -> bool:
    of_a_lock = ".lock." in part.name or part.name.startswith(".clock.")
    limit = max(minimum_age, DEAD_AFTER_SECONDS) if of_a_lock else minimum_age
    try:
        if of_a_lock and (holder := parse(part.read_bytes())) is not None:
            return not lives(part, holder)
        return part.is_file() and (limit == 0 or age(part) > limit)
    except FileNotFoundError:
        return False  # its own process was quicker


def sweep(folder: Path) -> None:
    """Remove what killed processes left directly in `folder`, to which nobody else writes."""
    for part in leftovers(folder):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path`, atomically."""
    with atomic_write(path) as stream:
        stream.write(text.encode())


def sha256(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def line_digest(content: bytes) -> str:
    """Return the SHA-256 (64 hex digits) of a text's lines, sorted as bytes, each with a newline.

    Trailing white space and empty lines are ignored.
    """
    lines = sorted(filter(None, (line.rstrip() for line in content.splitlines())))
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
