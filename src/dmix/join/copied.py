"""Copies a file and checks its SHA-256 on the way, so that no other bytes are ever published."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import atomic_write

CHUNK = 2**20


def copy(source: Path, target: Path, sha256: str) -> None:
    """Copy a file to `target`, whole or not at all.

    Parameters
    ----------
    sha256: of the content, 64 hex digits.

    Raises
    ------
    DmixError: the content is another, or a file cannot be read or written.
    """
    digest = hashlib.sha256()
    with atomic_write(target) as out:
        try:
            with open(source, "rb") as stream:
                while block := stream.read(CHUNK):
                    out.write(block)
                    digest.update(block)
        except FileNotFoundError as error:
            raise DmixError(f"{source.name} is missing") from error
        if digest.hexdigest() != sha256:
            raise DmixError(f"{source.name} was cut or edited: its sha256 is not the one that is recorded")
