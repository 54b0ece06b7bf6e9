"""Compares a file with the published one: its size, then its digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dmix.data.obtain.progress import progress
from dmix.data_items import File
from dmix.errors import DmixError
from dmix.files import line_digest

CHUNK = 1 << 20  # bytes


def check(path: Path, file: File, way_out: str) -> None:
    """Check that `path` has the size and the checksum of `file`, each if it is known.

    Raises
    ------
    DmixError: it has another size or digest, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if file.bytes not in (None, size):
            raise DmixError(f"{path} is not {file.name}: it has {size:,} bytes, not {file.bytes:,}", way_out)
        if not file.checksum:
            return
        digest = _digest(path, file.algorithm, size)
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror or error}", way_out) from error
    if not digest.startswith(file.checksum):
        raise DmixError(
            f"{path} is not {file.name}: its {file.algorithm} is {digest}, not {file.checksum}", way_out
        )


def matches(path: Path, file: File) -> bool:
    """Return whether `path` exists and is `file`."""
    try:
        check(path, file, "")
    except DmixError:
        return False
    return True


def _digest(path: Path, algorithm: str, size: int) -> str:
    if algorithm == "sha256_lines":
        return line_digest(path.read_bytes())
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as stream, progress(f"checking {path.name}", "MB", size) as advance:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
