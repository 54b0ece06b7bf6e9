"""Findings on what DVC keeps: which copies of what this checkout names are whole, in cache and store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dmix.doctor.finding import Finding
from dmix.doctor.kept import Kept, Out
from dmix.doctor.place import LISTING, Copy, blocks, md5_of

READERS = 8  # each holds a block of up to 50 MB of what it reads from S3
REPAIR = "dmix doctor --store --repair"


@dataclass(frozen=True)
class Looked:
    """The copies of one object.

    Attributes
    ----------
    path: a file, or the folder of a listing. oid: MD5, with ".dir" after it for a listing.
    pushed: the store has the listing that names it, from which DVC concludes that it has the object too.
    """

    path: str
    oid: str
    cache: Copy
    store: Copy
    pushed: bool

    @property
    def wrong(self) -> str:
        """What is wrong with the object, which `dvc push` and `dvc pull` do not put right; or ""."""
        damaged = [name for name, copy in self._copies if copy == "damaged"]
        if damaged:
            return f"damaged in {' and '.join(damaged)}"
        if self.cache == self.store == "absent":
            return "neither in the cache nor in the store"
        return "not in the store, which should have it" if self.store == "absent" and self.pushed else ""

    @property
    def _copies(self) -> tuple[tuple[str, Copy], ...]:
        return ("the cache", self.cache), ("the store", self.store)

    def has_file(self) -> bool:
        """Return whether the file in the checkout is a whole copy."""
        file = Path(self.path)
        if self.oid.endswith(LISTING) or not file.is_file():
            return False
        with open(file, "rb") as stream:
            return md5_of(blocks(stream)) == self.oid

    def whole(self) -> bool:
        """Return whether there is a whole copy anywhere."""
        return "whole" in (self.cache, self.store) or self.has_file()


def looked(kept: Kept) -> Iterator[tuple[Out, list[Looked]]]:
    """Read every copy of every object; yield each out with its objects, its listing first."""
    with ThreadPoolExecutor(READERS) as threads:
        for out in kept.outs:
            named = {out.oid: out.path} | {oid: path for path, oid in (out.files or {}).items()}
            cached = threads.map(kept.cache.copy, named)
            stored = threads.map(kept.store.copy, named)
            copies = list(zip(named.items(), cached, stored, strict=True))
            pushed = copies[0][2] != "absent"
            yield out, [Looked(path, oid, cache, store, pushed) for (oid, path), cache, store in copies]


def findings(kept: Kept) -> Iterator[Finding]:
    """Yield a finding for each out, and for each of its objects that is wrong."""
    group = kept.store.name
    if not kept.outs:
        yield Finding(
            group, "dvc.lock", "missing", "it names nothing that is kept", "dvc repro, or dvc commit"
        )
    for out, copies in looked(kept):
        wrong = [each for each in copies if each.wrong]
        for each in wrong:
            yield _wrong(group, out, each)
        waiting = sum(each.store == "absent" for each in copies if not each.wrong)
        here = sum(each.cache == "whole" for each in copies)
        if waiting:
            detail = f"{waiting} of {len(copies)} objects are not in the store yet"
            yield Finding(group, out.path, "missing", detail, f"dvc push {out.path}")
        elif not wrong:
            yield Finding(
                group, out.path, "ok", f"{len(copies)} objects, whole; {here} of them in the cache too"
            )


def _wrong(group: str, out: Out, object_: Looked) -> Finding:
    listing = "its listing is " if object_.oid.endswith(LISTING) else ""
    if object_.whole():
        return Finding(group, object_.path, "broken", f"{listing}{object_.wrong}", REPAIR)
    detail = f"{listing}{object_.wrong}; there is no whole copy here"
    return Finding(
        group,
        object_.path,
        "broken",
        detail,
        f"{REPAIR} in a checkout that has one, or make {out.path} again",
    )
