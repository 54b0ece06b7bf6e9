"""`dmix data verify`: decodes every image, and compares all else with the settings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from dmix.data.loading.workers import parallel_map
from dmix.data.obtain import checksum
from dmix.data.obtain.progress import progress
from dmix.data.sets import tiny_imagenet
from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.data.sets.image_files import ImageFiles, LooseFiles, decode
from dmix.data.sets.leftovers import is_leftover, passed_over
from dmix.data_items import Item
from dmix.errors import DmixError

TASK = 64  # images that a process decodes at a time
LISTED = 20  # damaged images that are named


def verify(name: str, folder: Path, load: Callable[[], Dataset], workers: int) -> str:
    """Check the data set in `folder`, and return what it holds, in a line, and what is passed over.

    Parameters
    ----------
    name: what params.yaml calls it.
    load: its loader with all settings: classes, sizes and, where its files have any, checksums.
    workers: processes beside this one.

    Raises
    ------
    DmixError: the loader's; or with all damaged images counted, and the first of them named.
    """
    if folder.name == tiny_imagenet.FOLDER:
        # Its loader decodes the images itself, and stops at the first damaged one.
        every = (path.relative_to(folder) for path in folder.rglob("*.JPEG"))
        loose = sorted(path.as_posix() for path in every if not any(map(is_leftover, path.parts)))
        _require_whole(name, folder, [LooseFiles(folder, tuple(loose))], workers)
    found = load()
    encoded = [split.files for split in found.splits.values() if isinstance(split, FileSplit)]
    _require_whole(name, folder, encoded, workers)
    sizes = " and ".join(f"{len(split):,} {what}" for what, split in found.splits.items())
    digest = found.fingerprint[:16]
    line = f"{name}: {sizes} images of {found.classes:,} classes, all whole; fingerprint {digest}"
    rest = passed_over(folder)
    return f"{line}\n{name}: {rest}" if rest else line


def verify_files(item: Item, data: Path) -> str:
    """Check weights or lists by their checksums, and return a line that says so.

    Raises
    ------
    DmixError: a file is missing, or not the published one.
    """
    target = item.target(data)
    for file in item.files:
        path = target if item.kind == "weights" else target / file.name
        checksum.check(path, file, f"remove {target}, then run: {item.command}")
    found = "is the published file" if item.kind == "weights" else "holds the published files"
    return f"{item.name}: {target} {found}"


def _require_whole(name: str, folder: Path, groups: Sequence[ImageFiles], workers: int) -> None:
    total = sum(len(files.names) for files in groups)
    if not total:
        return
    damaged = []
    with progress(f"decoding {name}", "images", total) as advance:
        for files in groups:
            count = len(files.names)
            tasks = [range(start, min(start + TASK, count)) for start in range(0, count, TASK)]
            work = functools.partial(_damaged, files)
            results = parallel_map(work, tasks, workers=workers, ahead=2 * workers, pin=False)
            for task, found in zip(tasks, results, strict=True):
                damaged += [(files, index) for index in found.tolist()]
                advance(len(task))
    if not damaged:
        return
    lines = [f"{files.names[index]}: {_fault(files, index)}" for files, index in damaged[:LISTED]]
    if len(damaged) > LISTED:
        lines.append(f"and {len(damaged) - LISTED:,} more")
    raise DmixError(
        f"{name}: {len(damaged):,} of {total:,} images in {folder} are damaged:\n    " + "\n    ".join(lines),
        f"remove {folder} and get it again",
        exit_code=1,
    )


def _damaged(files: ImageFiles, task: range) -> Tensor:
    """Return which images of a task cannot be read or decoded, int64 (n,)."""
    return torch.tensor([index for index in task if _fault(files, index)], dtype=torch.int64)


def _fault(files: ImageFiles, index: int) -> str:
    """Return what is wrong with an image, or ""."""
    try:
        decode(files.read(index), "")
    except OSError as error:
        return str(error.strerror or error)
    except DmixError as error:
        return str(error.__cause__ or error.message)
    return ""
