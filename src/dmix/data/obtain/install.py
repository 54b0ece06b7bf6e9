"""Builds an item in its staging folder from its published files, as its loader expects it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from dmix.data.obtain.staging import Tell, editions_folder, require_space, writable
from dmix.data.obtain.unpack import unpack, usual_limit
from dmix.data.sets.dataset import Dataset
from dmix.data.sets.leftovers import passed_over
from dmix.data_items import File, Item
from dmix.errors import DmixError

UNPACKED = 2  # disk space of unpacked files per byte of archive: small files take whole blocks
Load = Callable[[Path], Dataset]  # reads the real edition below a folder of editions, with the genuine sizes


def install(item: Item, files: Mapping[File, Path], staged: Path, tell: Tell) -> None:
    """Unpack, link or copy the files of an item, which are checked already, to `staged`.

    Raises
    ------
    DmixError: an archive must not be unpacked, is damaged, or does not hold the item's folder; the disk is
        full.
    """
    sizes = {file: source.stat().st_size for file, source in files.items() if file.place != "link"}
    require_space(staged.parent, UNPACKED * sum(sizes.values()), item.name)
    for file, source in files.items():
        inside = staged if item.kind == "weights" else staged / file.name
        if file.place in ("folder", "into"):
            tell(f"{item.name}: unpacking {source}")
        if file.place == "folder":
            _folder_of(source, file, staged, editions_folder(item, staged) / "unpacked")
        elif file.place == "into":
            unpack(source, staged, usual_limit(source), checked=bool(file.checksum))
        else:
            with writable(inside.parent):
                inside.parent.mkdir(parents=True, exist_ok=True)
                if file.place == "link":
                    inside.symlink_to(source.resolve())
                else:
                    shutil.copyfile(source, inside)


def check_by_loading(item: Item, staged: Path, load: Load, given: Path, way_out: str, tell: Tell) -> None:
    """Read the staged item by its loader; errors name `given`, the user's path, instead of `staged`.

    Raises
    ------
    DmixError: the loader's, with `way_out` in the place of its own.
    """
    tell(f"{item.name}: reading it by its loader")
    try:
        found = load(editions_folder(item, staged))
    except DmixError as error:
        raise DmixError(error.message.replace(str(staged), str(given)), way_out, exit_code=1) from error
    assert found.edition == "real"
    if line := passed_over(staged):
        tell(f"{item.name}: {line}")


def _folder_of(archive: Path, file: File, staged: Path, scratch: Path) -> None:
    """Unpack an archive, and keep only its folder with the name of `staged`."""
    unpack(archive, scratch, usual_limit(archive), checked=bool(file.checksum))
    if not (scratch / staged.name).is_dir():
        raise DmixError(f"{archive} holds no folder {staged.name}", "get the published archive")
    with writable(staged.parent):
        (scratch / staged.name).rename(staged)
        shutil.rmtree(scratch)
