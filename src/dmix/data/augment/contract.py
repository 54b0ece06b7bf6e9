"""The interfaces of an augmentation, for images in memory and for images on disk.

A part implements one or both. Random choices come from a generator that the caller derives from the run's
seed, so the result does not depend on when, or in which process, an image is augmented.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from dmix.data.augment.resize import FirstResize, Image


@runtime_checkable
class Augment(Protocol):
    """Augments images in memory: choices are drawn on the host, then applied to batches on the device."""

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[Any]:
        """Draw the random choices of n samples, (n, k), for images of `shape` (height, width)."""
        ...

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws (N, k), into uint8 (N, 3, H', W')."""
        ...


@runtime_checkable
class ImageAugment(Protocol):
    """Augments images on disk, of any size, one at a time in a worker process.

    `first_resize` is the deterministic resize that the augmentation begins with, or None. It is idempotent,
    so its result may be cached for all epochs.
    """

    @property
    def first_resize(self) -> FirstResize | None:
        """The resize, or None."""
        ...

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Augment uint8 (H, W, 3) into uint8 (S, S, 3); `rng` is this sample's own generator."""
        ...
