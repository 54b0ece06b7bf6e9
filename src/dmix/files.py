"""Writes files atomically, and computes digests of files."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dmix.errors import DmixError


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for binary writing, and rename it to `path` on success.

    The bytes and the directory entry are fsynced, so that after a crash `path` has the old content or the
    new one, never a part of it. On an error no temporary file is left.

    Raises
    ------
    DmixError: the folder cannot be written, or the disk is full.
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
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DmixError(
            f"cannot write {path}: {error.strerror or error}",
            f"make {path.parent} writable and free some disk space, then run the same command again",
            exit_code=1,
        ) from error


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
