"""Opens DVC's cache and store of a checkout, and lists the objects that its dvc.lock and .dvc files name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmix.doctor.place import LISTING, REACH, Place, md5_of, told
from dmix.errors import DmixError


@dataclass(frozen=True)
class Out:
    """What one line of dvc.lock or of a .dvc file names.

    Attributes
    ----------
    path: relative to the checkout. oid: MD5 of the file, or of a folder's listing with ".dir" after it.
    files: path -> MD5 of each file; None if no place has the listing whole.
    """

    path: str
    oid: str
    files: dict[str, str] | None


@dataclass(frozen=True)
class Kept:
    """The objects that a checkout names, and the two places that may have a copy of each."""

    cache: Place
    store: Place
    outs: tuple[Out, ...]


@contextmanager
def opened(targets: Iterable[str] = ()) -> Iterator[Kept]:
    """Open cache and store of the checkout in the current folder during the block.

    Parameters
    ----------
    targets: paths; nothing else than these and what is below them is listed. None given: everything.

    Raises
    ------
    DmixError: there is no DVC here, it has no store, or the store cannot be reached.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        repo = Repo(".")
        named = [out for out in repo.index.outs if out.use_cache and out.hash_info]
        cache, store = Place("the cache", repo.cache.local), _store(repo)
    except DvcException as error:
        raise DmixError(
            f"DVC cannot open this checkout: {error}", "run dvc doctor, and correct .dvc/config"
        ) from error
    with repo:
        store.connect()
        outs = (_listed(str(out), out.hash_info.value, cache, store) for out in named)
        wanted = tuple(str(Path(target)) for target in targets)
        found = (_below(out, wanted) if wanted else out for out in outs)
        yield Kept(cache, store, tuple(sorted((out for out in found if out), key=lambda out: out.path)))


def _store(repo: Any) -> Place:
    from dvc.exceptions import DvcException

    name = repo.config["core"].get("remote")
    try:
        objects = repo.cloud.get_remote_odb()
    except DvcException:
        raise
    except Exception as error:  # of a cloud's library, which reads its own settings here
        raise DmixError(f"cannot open the store {name}: {told(error)}", REACH, exit_code=1) from error
    return Place(f"the store {repo.config['remote'][name]['url']}", objects)


def _listed(path: str, oid: str, cache: Place, store: Place) -> Out:
    if not oid.endswith(LISTING):
        return Out(path, oid, {path: oid})
    for place in (cache, store):
        try:
            content = b"".join(place.read(oid))
        except FileNotFoundError:
            continue
        if md5_of([content]) == oid.removesuffix(LISTING):
            entries = json.loads(content)
            return Out(path, oid, {f"{path}/{entry['relpath']}": entry["md5"] for entry in entries})
    return Out(path, oid, None)


def _below(out: Out, targets: tuple[str, ...]) -> Out | None:
    """Return what of an out is one of the targets or below one; None if nothing is."""
    if _is_below(out.path, targets):
        return out
    files = {path: oid for path, oid in (out.files or {}).items() if _is_below(path, targets)}
    return Out(out.path, out.oid, files) if files else None


def _is_below(path: str, targets: tuple[str, ...]) -> bool:
    return any(path == target or path.startswith(f"{target}/") for target in targets)
