"""The contract of a data set: named splits of labelled images, in memory or encoded on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from dmix.data.sets.image_files import ImageFiles, decode
from dmix.errors import DmixError

WAY_OUT = "compare the data set with its source, and get it again"

Edition = Literal["real", "embedded"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images with one label each.

    Parameters
    ----------
    images: uint8 (N, 3, H, W), 0..255.
    labels: int64 (N,), 0..classes-1.

    Raises
    ------
    ValueError: a shape or dtype is not the one above.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(f"images are {self.images.dtype} {self.images.shape}, not uint8 (N, 3, H, W)")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape}, not int64 (N,)")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Encoded images on disk with one label each, decoded when they are read.

    Parameters
    ----------
    files: N images of any size.
    labels: int64 (N,), 0..classes-1.

    Raises
    ------
    ValueError: labels have another dtype or number.
    """

    files: ImageFiles
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.shape != (len(self.files.names),):
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape}, not int64 (N,)")

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one image, uint8 (H, W, 3) RGB."""
        return decode(self.files.read(index), self.files.names[index])


AnySplit = Split | FileSplit


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: its splits ("train" and "test") and their fingerprint, computed here.

    Raises
    ------
    DmixError: a label is out of range, or all images of a split, of several, have one label.
    """

    name: str
    edition: Edition
    classes: int
    splits: Mapping[str, AnySplit]
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        for name, split in self.splits.items():
            _check_labels(
                f"the {name} images of {self.name} ({self.edition} edition)", split.labels, self.classes
            )
        object.__setattr__(self, "fingerprint", fingerprint(self.splits))


def _check_labels(what: str, labels: npt.NDArray[np.int64], classes: int) -> None:
    """Refuse labels with which nothing can be learned or measured; `what` begins the message."""
    if len(labels) == 0:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DmixError(
            f"{what}: there is a label {low if low < 0 else high}, not in 0..{classes - 1}", WAY_OUT
        )
    if low == high and min(classes, len(labels)) > 1:
        raise DmixError(f"{what}: all {len(labels)} have the label {low}", WAY_OUT)


def fingerprint(splits: Mapping[str, AnySplit]) -> str:
    """Return the SHA-256 (64 hex digits) over all splits, in sorted order.

    It covers every byte of images in memory, but only names, sizes in bytes and labels of images on disk,
    because reading all of ImageNet takes longer than many runs (`dmix data verify` does read it).
    """
    digest = hashlib.sha256()
    for name in sorted(splits):
        split = splits[name]
        if isinstance(split, FileSplit):
            sizes = split.files.sizes().tolist()
            for row in zip(split.files.names, sizes, split.labels.tolist(), strict=True):
                digest.update(f"{name} {row}\n".encode())
            continue
        digest.update(f"{name} {split.images.shape} {split.labels.shape}\n".encode())
        digest.update(np.ascontiguousarray(split.images).data)
        # little-endian, so that the digest is the same on every machine
        digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
    return digest.hexdigest()
