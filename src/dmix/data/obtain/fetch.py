"""`dmix data fetch`: downloads what needs no account, from the first source that works."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dmix.data.obtain import checksum, weights
from dmix.data.obtain.download import download
from dmix.data.obtain.install import UNPACKED, Load, check_by_loading, install
from dmix.data.obtain.request import PartialFile, SourceError
from dmix.data.obtain.staging import (
    Tell,
    downloads,
    locked,
    require_absent,
    require_space,
    staging,
    writable,
)
from dmix.data_items import File, Item
from dmix.errors import DmixError
from dmix.files import publish

CHECKSUM_IS_RIGHT = "the checksum is right, so look at datasets.{} in params.yaml"


def fetch(item: Item, data: Path, load: Load | None, tell: Tell) -> None:
    """Download and install an item, unless it is there.

    Archives, also incomplete ones, stay in `data`/downloads, so that nothing is downloaded twice.

    Parameters
    ----------
    data: the folder that holds the editions.
    load: the data set's loader with the genuine sizes; None for weights, whose checksum is enough.
    tell: prints a line for the user.

    Raises
    ------
    DmixError: it needs an account or is gone; no source works; it is damaged; the disk is full.
    """
    if not item.files:
        raise DmixError(
            f"no row of reference/datasets.csv says where {item.name} is from", item.way_out(data)
        )
    if not item.fetchable:
        raise _by_hand(item)
    with locked(data, item, tell):
        if item.present(data):
            tell(f"{item.name}: {item.target(data)} is there; to check it: dmix data verify {item.name}")
            return
        require_absent(item, data)
        _require_space(item, data)
        folder = downloads(data)
        files = {file: _file(item, file, folder, tell) for file in item.files}
        with staging(data, item) as staged:
            install(item, files, staged, tell)
            if load is not None:
                check_by_loading(
                    item, staged, load, folder / item.files[0].name, CHECKSUM_IS_RIGHT.format(item.name), tell
                )
    tell(f"{item.name}: {item.target(data)}")


def _by_hand(item: Item) -> DmixError:
    forms = ", or ".join(" + ".join(file.name for file in files) for files in item.forms.values())
    notes = dict.fromkeys(note for file in item.files for note in file.notes)
    return DmixError(
        f"{item.name} cannot be fetched ({'; '.join(notes)}): {forms}",
        f"get these files into one folder PATH, then run: {item.command}",
    )


def _require_space(item: Item, data: Path) -> None:
    """Check that the disk has room for what is still to be downloaded and unpacked."""
    folder = downloads(data)
    there = sum(path.stat().st_size for file in item.files for path in folder.glob(f"*{file.name}*"))
    size = sum(file.bytes or 0 for file in item.files)
    rest, unpacked = max(0, size - there), UNPACKED * size
    real = item.target(data).parent
    if real.exists() and real.stat().st_dev != folder.stat().st_dev:
        require_space(folder, rest, item.name)
        require_space(real, unpacked, item.name)
    else:
        require_space(folder, rest + unpacked, item.name)


def _file(item: Item, file: File, folder: Path, tell: Tell) -> Path:
    """Return the file in `folder`, downloaded from the first source that works."""
    if item.kind == "weights":
        return weights.download(item, file, folder)
    target = folder / file.name
    if target.exists():
        if checksum.matches(target, file):
            return target
        tell(f"{target} is not {file.name}, or damaged; it is downloaded anew")
        target.unlink()
    failures = []
    for source in file.sources:
        partial = PartialFile(folder / f".{file.name}.{hashlib.sha256(source.encode()).hexdigest()[:8]}.part")
        try:
            _take(source, partial, file)
        except SourceError as error:
            failures.append(f"{source}: {error}")
            tell(f"{file.name}: no success with {failures[-1]}")
            continue
        with writable(folder):
            publish(partial.path, target)
            partial.discard()
        return target
    raise DmixError(
        f"no source gave {file.name}: {'; '.join(failures)}",
        f"run the same command again later: it continues; or get the file by other means and run: "
        f"dmix data import {item.name} PATH",
        exit_code=1,
    )


def _take(source: str, partial: PartialFile, file: File) -> None:
    download(source, partial, file.name, file.bytes)
    try:
        checksum.check(partial.path, file, "")
    except DmixError as error:
        partial.discard()
        raise SourceError(error.message) from error
