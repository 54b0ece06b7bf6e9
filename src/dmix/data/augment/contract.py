"""What an augmentation is, for images in memory and for images on disk.

A part has one form or both. In both, random choices come from a generator that the caller derives from the
run's seed, so that what an image looks like never depends on when, or in which process, it was made.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from dmix.data.augment.resize import FirstResize, Image


@runtime_checkable
class Augment(Protocol):
    """For images in memory: choices are drawn for a whole epoch and used in batches on the device."""

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[Any]:
        """Return one row of choices per sample, (n, k), for images of `shape` (height, width)."""
        ...

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws (N, k), into uint8 (N, 3, H', W')."""
        ...


@runtime_checkable
class ImageAugment(Protocol):
    """For images on disk, of any size: one at a time, in a worker process.

    `first` is the deterministic resize that the augmentation begins with, or None. It changes nothing in an
    image that already went through it, so that it may be done once for all epochs.
    """

    @property
    def first_resize(self) -> FirstResize | None:
        """The resize, or None."""
        ...

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Augment uint8 (H, W, 3), with a generator of this sample's own, into uint8 (S, S, 3)."""
        ...
