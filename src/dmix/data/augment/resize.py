"""Resizes single images by Pillow, as the published recipes do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import PIL.Image

Image = npt.NDArray[np.uint8]
"""One image, uint8 (H, W, 3), RGB."""

Interpolation = Literal["bilinear", "bicubic"]

FILTERS = {
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
}


def resize(image: Image, height: int, width: int, interpolation: Interpolation) -> Image:
    """Resize `image`, first its width and then its height.

    Pillow up to version 12 has this order. Pillow 13 reverses it where that is faster, which changes pixels,
    because each pass is rounded; one call for each axis fixes the order.
    """
    narrowed = PIL.Image.fromarray(image).resize((width, image.shape[0]), FILTERS[interpolation])
    return np.asarray(narrowed.resize((width, height), FILTERS[interpolation]))


@dataclass(frozen=True)
class ShorterSide:
    """Resize an image so that its shorter side has `size` pixels; the longer side is rounded down.

    As torchvision's `Resize(size)`. An image whose shorter side has `size` pixels is returned unchanged.
    """

    size: int
    interpolation: Interpolation

    @property
    def label(self) -> str:
        """This resize in a file name."""
        return f"{self.interpolation}-{self.size}"

    def __call__(self, image: Image) -> Image:
        """Resize uint8 (H, W, 3)."""
        height, width = image.shape[:2]
        if min(height, width) == self.size:
            return image
        longer = int(self.size * max(height, width) / min(height, width))
        if width <= height:
            return resize(image, longer, self.size, self.interpolation)
        return resize(image, self.size, longer, self.interpolation)


@dataclass(frozen=True)
class Square:
    """Resize an image to `size` by `size` pixels; the aspect ratio is not kept.

    An image of that size is returned unchanged.
    """

    size: int
    interpolation: Interpolation

    @property
    def label(self) -> str:
        """This resize in a file name."""
        return f"{self.interpolation}-{self.size}x{self.size}"

    def __call__(self, image: Image) -> Image:
        """Resize uint8 (H, W, 3) into uint8 (size, size, 3)."""
        if image.shape[:2] == (self.size, self.size):
            return image
        return resize(image, self.size, self.size, self.interpolation)


FirstResize = ShorterSide | Square
"""A deterministic and idempotent resize, whose result may be cached."""
