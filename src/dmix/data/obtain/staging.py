"""Download and staging folders; an item moves to data/real whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dmix.data_items import Item
from dmix.errors import DmixError
from dmix.files import publish_folder
from dmix.lock import held

Tell = Callable[[str], None]


def downloads(data: Path) -> Path:
    """Return the folder of complete and partial downloads, which is made if it is missing."""
    folder = data / "downloads"
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Report that a folder cannot be written.

    Raises
    ------
    DmixError: in place of OSError.
    """
    try:
        yield
    except OSError as error:
        raise DmixError(
            f"cannot write {error.filename or folder}: {error.strerror or error}",
            f"make {folder} writable and free some disk space, then run the same command again",
            exit_code=1,
        ) from error


@contextmanager
def locked(data: Path, item: Item, tell: Tell) -> Iterator[None]:
    """Hold the item's lock; if another process holds it, say so and wait."""
    path = downloads(data) / f".{item.name}.lock"
    with held(path, lambda holder: tell(f"{item.name}: waiting for {holder}, which is getting it")):
        yield


@contextmanager
def staging(data: Path, item: Item) -> Iterator[Path]:
    """Yield a new path at which to build the item, and move it to its place if that succeeds.

    The path is below a folder of editions of its own, where a loader finds it (`editions_folder`). The caller
    holds the item's lock, so that leftovers of an earlier attempt can be removed.
    """
    target = item.target(data)
    root = data / "real" / f".{item.name}.part"
    staged = item.target(root)
    with writable(data / "real"):
        shutil.rmtree(root, ignore_errors=True)
        staged.parent.mkdir(parents=True)
    try:
        yield staged
        with writable(data / "real"):
            target.parent.mkdir(parents=True, exist_ok=True)
            publish_folder(staged, target)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def editions_folder(item: Item, staged: Path) -> Path:
    """Return the folder of editions in which `staged` is the real edition of `item`."""
    return staged.parents[len(item.path.parts)]


def require_absent(item: Item, data: Path) -> None:
    """Check that nothing is in the item's place, not even a broken link.

    Raises
    ------
    DmixError: something is.
    """
    target = item.target(data)
    if os.path.lexists(target):
        link = f" (a link to {target.readlink()})" if target.is_symlink() else ""
        raise DmixError(
            f"{target} is there already{link}", f"remove it first, or check it: dmix data verify {item.name}"
        )


def require_space(folder: Path, needed: int, what: str) -> None:
    """Check that the disk of `folder`, which exists, has room.

    Raises
    ------
    DmixError: it has less than `needed` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DmixError(
            f"{what} needs about {needed / 1e9:.1f} GB of disk, {folder} has {free / 1e9:.1f} GB left",
            "free some disk space, or make data/ a link to a folder on a larger disk",
            exit_code=1,
        )
