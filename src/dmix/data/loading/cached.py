"""Caches images after a recipe's first, deterministic resize, for later epochs and runs.

A cache is one file: the pixels of all images, uint8 (H, W, 3) one after the other, then their heights and
widths as little-endian int32 (N, 2). Worker processes and other runs read it through the system's page cache.
Its name has a digest of the images and of what made the pixels, and it is written atomically.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
import torch
from torch import Tensor

from dmix.data.augment.resize import FirstResize, Image
from dmix.data.loading.workers import parallel_map
from dmix.data.sets.dataset import FileSplit, fingerprint
from dmix.errors import DmixError
from dmix.files import atomic_write
from dmix.lock import held

FORMAT = 1


@dataclass(frozen=True, eq=False)
class CachedSplit:
    """The images of a `FileSplit` after their first resize, and the split's labels.

    Parameters
    ----------
    path: the file described above.
    labels: int64 (N,), 0..classes-1.
    shapes: int64 (N, 2), heights and widths. starts: int64 (N,), offsets of the images in the file, in bytes.
    """

    path: Path
    labels: npt.NDArray[np.int64]
    shapes: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> Image:
        """Return one image, uint8 (H, W, 3) RGB.

        Raises
        ------
        OSError: the file was removed.
        """
        height, width = self.shapes[index].tolist()
        pixels = np.fromfile(self.path, np.uint8, height * width * 3, offset=int(self.starts[index]))
        return pixels.reshape(height, width, 3)


def cached(split: FileSplit, first: FirstResize, folder: Path, *, workers: int) -> CachedSplit:
    """Return `split` after the resize `first`, from its cache in `folder`, which is made if it is missing.

    If several runs need it at once, one makes it.

    Raises
    ------
    DmixError: an image is damaged, the file was cut off, or the folder cannot be written.
    """
    path = folder / f"{first.label}-{_digest(split, first)}.bin"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with held(path.with_suffix(".lock"), _waits):
                if not path.exists():
                    _make(path, split, first, workers)
        return _open(path, split)
    except OSError as error:
        raise DmixError(
            f"cannot keep resized images in {folder}: {error.strerror or error}",
            f"make {folder} a writable folder, then run the same command again",
            exit_code=1,
        ) from error


def _waits(holder: str) -> None:
    print(f"waiting: {holder} keeps the resized images", flush=True)


def _digest(split: FileSplit, first: FirstResize) -> str:
    made_by = (FORMAT, PIL.__version__, first, fingerprint({"images": split}))
    return hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Resized:
    """The work of a worker process: one resized image, uint8 (H, W, 3)."""

    split: FileSplit
    first: FirstResize

    def __call__(self, index: int) -> Tensor:
        return torch.from_numpy(self.first(self.split.image(index)).copy())  # Pillow's memory is read-only


def _make(path: Path, split: FileSplit, first: FirstResize, workers: int) -> None:
    shapes = np.empty((len(split), 2), "<i4")
    with atomic_write(path) as stream:
        work = _Resized(split, first)
        images = parallel_map(work, range(len(split)), workers=workers, ahead=0, pin=False)
        for index, image in enumerate(images):
            shapes[index] = image.shape[:2]
            stream.write(image.numpy().data)
        stream.write(shapes.data)


def _open(path: Path, split: FileSplit) -> CachedSplit:
    table = 8 * len(split)
    pixels = path.stat().st_size - table
    if pixels > 0:
        shapes = np.fromfile(path, "<i4", offset=pixels).reshape(-1, 2).astype(np.int64)
        ends = (3 * shapes.prod(1)).cumsum()
        if ends[-1] == pixels:
            return CachedSplit(path, split.labels, shapes, ends - 3 * shapes.prod(1))
    raise DmixError(f"{path} was cut off or changed", "remove it; it is then made again")
