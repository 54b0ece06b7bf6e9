"""The interface of a test-time transform: a pure function of one image, then the crops to evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from dmix.data.augment.resize import FirstResize, Image


class View(Protocol):
    """A test-time transform: the call on the host, once per image, then `crops` on the device.

    `first_resize` is the deterministic resize that it begins with, or None. It is idempotent, so its result
    may be cached for all evaluations. `centre` is the index, from 0, of the central crop in `crops`.
    """

    @property
    def first_resize(self) -> FirstResize | None:
        """The resize, or None."""
        ...

    @property
    def centre(self) -> int:
        """The index of the central crop."""
        ...

    def __call__(self, image: Image) -> Image:
        """Turn uint8 (H, W, 3) into uint8 (S, S, 3)."""
        ...

    def crops(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the crops, (N, 3, S', S'), of normalised images (N, 3, S, S), which are not changed.

        A prediction is the sum of the logits of all crops. Every batch has the same number of crops.
        """
        ...


class OneCrop:
    """Base of transforms whose only crop is the whole image."""

    centre = 0

    def crops(self, images: Tensor) -> Iterator[Tensor]:
        """Yield `images`."""
        yield images
