"""Reduce images in memory by exact block means, for scaled-down runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmix.data.sets.dataset import Split
from dmix.errors import DmixError


def require_divisor(name: str, side: int, size: int) -> None:
    """Check that images of data set `name` can be reduced from `side` to `size` pixels a side.

    Raises
    ------
    DmixError: `size` does not divide `side`.
    """
    if side % size:
        raise DmixError(
            f"image_size of {name} is {size}; its images have {side} pixels a side",
            f"set image_size to {side}, {side // 2} or {side // 4} in params.yaml",
        )


def reduced(split: Split, size: int) -> Split:
    """Return the split with its square images reduced to `size` pixels a side."""
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
