"""The data sets CIFAR-10 and CIFAR-100, genuine or embedded, from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Gt

from dmix.data import cifar_format, marker
from dmix.data.dataset import Dataset, Split
from dmix.errors import DmixError
from dmix.part import part


@part
def cifar(
    root: Path,
    *,
    folder: Literal["cifar-10-batches-py", "cifar-100-python"],
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
    image_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/<folder>`, verified against its checksums and these settings.

    Parameters
    ----------
    root: the folder that holds the editions.
    train_size, test_size: the images each split must hold.
    image_size: side in pixels, 32 or a divisor of it: images are reduced by block means.

    Raises
    ------
    DmixError: the data are missing, damaged, of the other edition, or not as the settings say.
    """
    layout = cifar_format.LAYOUTS[folder]
    if cifar_format.SIZE % image_size:
        raise DmixError(
            f"image_size of {layout.name} is {image_size}; its images have {cifar_format.SIZE} pixels a side",
            "set image_size to 32, 16 or 8 in params.yaml",
        )
    place = root / edition / folder
    way_out = (
        marker.WAY_OUT
        if edition == "embedded"
        else f"unpack the genuine archive (python version) so that its folder is {place}"
    )
    if not place.is_dir():
        raise DmixError(f"data set {layout.name} ({edition} edition) is missing: {place}", way_out)
    if edition == "embedded":
        checksums, algorithm = marker.read(place).files, "sha256"
    else:
        if (place / marker.NAME).exists():
            raise DmixError(f"{place} is the embedded edition, in the place of the real one", way_out)
        checksums, algorithm = dict(layout.md5), "md5"
    train, test, named = cifar_format.read(place, layout, checksums, algorithm, way_out)
    for what, found, expected in (
        ("classes", named, classes),
        ("train images", len(train), train_size),
        ("test images", len(test), test_size),
    ):
        if found != expected:
            raise DmixError(
                f"{place} holds {found} {what}, the settings say {expected}",
                f"correct the sizes of {layout.name} ({edition} edition) in params.yaml",
            )
    splits = {"train": _reduced(train, image_size), "test": _reduced(test, image_size)}
    return Dataset(name=layout.name, edition=edition, classes=classes, splits=splits)


def _reduced(split: Split, size: int) -> Split:
    return Split(block_means(split.images, size), split.labels)


def block_means(images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Reduce uint8 (N, C, S, S) to (N, C, size, size) by exact block means, halves rounded up."""
    count, channels, side, _ = images.shape
    block = side // size
    if block == 1:
        return images
    blocks = images.reshape(count, channels, size, block, size, block)
    total = blocks.sum(axis=(3, 5), dtype=np.uint32)
    means: npt.NDArray[np.uint8] = ((total + block * block // 2) // (block * block)).astype(np.uint8)
    return means
