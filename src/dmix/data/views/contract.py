"""What a test-time transform is: a pure function of one image, and what is evaluated of its result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from dmix.data.augment.resize import FirstResize, Image


class View(Protocol):
    """How test images are seen: by the call on the host, once for each image, then by `crops` on the device.

    `first` is the resize that it begins with, or None; it changes nothing in an image that already went
    through it, so that it may be done once for all readings. `centre` is the number of the crop in the middle
    among those of `crops`, counted from 0.
    """

    @property
    def first_resize(self) -> FirstResize | None:
        """The resize, or None."""
        ...

    @property
    def centre(self) -> int:
        """The number of the crop in the middle."""
        ...

    def __call__(self, image: Image) -> Image:
        """Turn uint8 (H, W, 3) into uint8 (S, S, 3)."""
        ...

    def crops(self, images: Tensor) -> Iterator[Tensor]:
        """Yield what is evaluated of normalised (N, 3, S, S), which stay as they are, as (N, 3, S', S').

        A prediction is the sum of the logits of all crops. Their number is one for every batch.
        """
        ...


class OneCrop:
    """The device's part of views whose images are evaluated as they come."""

    centre = 0

    def crops(self, images: Tensor) -> Iterator[Tensor]:
        """Yield `images`."""
        yield images
