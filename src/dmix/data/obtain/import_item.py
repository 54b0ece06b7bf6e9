"""`dmix data import`: installs archives, an unpacked folder or a file of weights that the user has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmix.data.obtain import checksum
from dmix.data.obtain.fetch import CHECKSUM_IS_RIGHT
from dmix.data.obtain.install import Load, check_by_loading, install
from dmix.data.obtain.staging import Tell, locked, require_absent, staging, writable
from dmix.data_items import File, Item
from dmix.errors import DmixError


def import_item(item: Item, path: Path, data: Path, load: Load | None, tell: Tell) -> None:
    """Install an item from `path`, after its loader has read it.

    Archives are checked and unpacked, or linked where the loader reads archives. An unpacked folder is
    linked, a file of weights is copied.

    Parameters
    ----------
    path: the archive; a folder with all files of a form; the unpacked folder; or the file of weights.
    data, load, tell: as in `fetch`.

    Raises
    ------
    DmixError: the item is there already; `path` is missing, damaged or something else.
    """
    target = item.target(data)
    if not path.exists():
        raise DmixError(f"there is no {path}", f"give a path to {_wanted(item)}")
    with locked(data, item, tell):
        require_absent(item, data)
        files = published(item, path)
        with staging(data, item) as staged:
            if files:
                for file, source in files.items():
                    checksum.check(source, file, f"give a path to {_wanted(item)}")
                install(item, files, staged, tell)
            else:
                with writable(staged.parent):
                    staged.symlink_to(path.resolve())
            if load is not None:
                way_out = CHECKSUM_IS_RIGHT.format(item.name) if files else f"give a path to {_wanted(item)}"
                check_by_loading(item, staged, load, path, way_out, tell)
    links = target.is_symlink() or any(file.place == "link" for file in files)
    at = f" (linked to {path.resolve()}: leave that where it is)" if links else ""
    tell(f"{item.name}: {target}{at}; to check all of it: dmix data verify {item.name}")


def published(item: Item, path: Path) -> Mapping[File, Path]:
    """Return the published files that `path` is or holds; none if it is an unpacked folder.

    A single file may have any name: its checksum identifies it.

    Raises
    ------
    DmixError: it is a single file, and the item consists of several.
    """
    for files in item.forms.values():
        if path.is_file() and len(files) == 1:
            return {files[0]: path}
        found = {file: path / file.name for file in files}
        if all(place.is_file() for place in found.values()):
            return found
    if path.is_file() or item.kind != "data":
        raise DmixError(f"{path} is not all of {item.name}", f"give a path to {_wanted(item)}")
    return {}


def _wanted(item: Item) -> str:
    """Return what a path may lead to, in words."""
    forms = list(item.forms.values())
    if item.kind == "weights":
        return item.files[0].name
    single = [files[0].name for files in forms if len(files) == 1]
    several = [
        f"a folder with {' + '.join(file.name for file in files)}" for files in forms if len(files) > 1
    ]
    unpacked = [f"the unpacked folder ({item.path.name})"] if item.kind == "data" else []
    return ", or ".join([*single, *several, *unpacked])
