"""Writes whole copies over damaged ones, in the cache and in the store; nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dmix.doctor.finding import Finding
from dmix.doctor.kept import Kept
from dmix.doctor.objects import Looked, looked
from dmix.doctor.place import LISTING, blocks, md5_of
from dmix.errors import DmixError
from dmix.files import atomic_write


def repair(kept: Kept) -> Iterator[Finding]:
    """Repair each object of which there is a whole copy, and yield what was done.

    Raises
    ------
    DmixError: cache or store cannot be written; what was repaired before stays so.
    """
    for _, copies in looked(kept):
        for each in copies:
            if each.wrong and each.whole():
                _repair(kept, each)
                yield Finding("repaired", each.path, "ok", f"was {each.wrong}")


def _repair(kept: Kept, object_: Looked) -> None:
    path = Path(kept.cache.path(object_.oid))
    if object_.cache != "whole":
        _write_cache(kept, object_, path)
    if object_.store == "damaged" or (object_.store == "absent" and object_.pushed):
        with kept.store.reached():
            # Beside it and renamed, or in one request: a copy in the store is never half-written.
            kept.store.objects.fs.put_file(str(path), kept.store.path(object_.oid))


def _write_cache(kept: Kept, object_: Looked, path: Path) -> None:
    """Write the copy in the cache from the file, or else from the store; checked on the way."""
    with atomic_write(path) as out:
        content = _file(object_.path) if object_.has_file() else kept.store.read(object_.oid)

        def written() -> Iterator[bytes]:
            for block in content:
                out.write(block)
                yield block

        if md5_of(written()) != object_.oid.removesuffix(LISTING):
            raise DmixError(
                f"{object_.path} has changed while it was copied", "run the same command again", exit_code=1
            )
    kept.cache.objects.protect(str(path))


def _file(path: str) -> Iterator[bytes]:
    with open(path, "rb") as stream:
        yield from blocks(stream)
