"""Reads objects by their MD5, in DVC's cache or in its store, wherever that is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from dmix.errors import DmixError

CHUNK = 2**20
LISTING = ".dir"
REACH = (
    "start its server, correct its url or renew the credentials (docs/results.md), then run the same command"
)

Copy = Literal["whole", "damaged", "absent"]


@dataclass(frozen=True)
class Place:
    """The cache or the store.

    Attributes
    ----------
    name: for people. objects: DVC's database of objects.
    """

    name: str
    objects: Any

    def path(self, oid: str) -> str:
        """Return where the object is, or would be."""
        return str(self.objects.oid_to_path(oid))

    def read(self, oid: str) -> Iterator[bytes]:
        """Yield the content of an object.

        Raises
        ------
        FileNotFoundError: it is not here.
        DmixError: the place cannot be reached, or its credentials are refused.
        """
        with self.reached(), self.objects.fs.open(self.path(oid), "rb") as stream:
            yield from blocks(stream)

    def copy(self, oid: str) -> Copy:
        """Return the state of the copy here, by its content."""
        try:
            found = md5_of(self.read(oid))
        except FileNotFoundError:
            return "absent"
        return "whole" if found == oid.removesuffix(LISTING) else "damaged"

    def connect(self) -> None:
        """Open a connection.

        Raises
        ------
        DmixError: the place cannot be reached, or the credentials are refused or missing.
        """
        with self.reached():
            try:
                self.objects.fs.exists(self.objects.path)
            except FileNotFoundError as error:  # of a key or another file of settings, on this machine
                raise ConnectionError(str(error)) from error

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Say what keeps the block from reaching the place: DVC has exceptions of every cloud's library."""
        try:
            yield
        except (FileNotFoundError, DmixError):
            raise
        except Exception as error:
            raise DmixError(f"cannot read {self.name}: {told(error)}", REACH, exit_code=1) from error


def blocks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield what is left of a stream, in blocks."""
    while block := stream.read(CHUNK):
        yield block


def md5_of(content: Iterable[bytes]) -> str:
    """Return the MD5 (32 hex digits) of blocks: the names of DVC's objects."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in content:
        digest.update(block)
    return digest.hexdigest()


def told(error: Exception) -> str:
    """Return the message of an exception, or its name where it has none."""
    return str(error).strip() or type(error).__name__
