"""What a test-time transform is: a pure function of one image."""

from __future__ import annotations

from typing import Protocol

from dmix.data.resize import Image, ShorterSide


class View(Protocol):
    """How test images are seen.

    `first` is the resize that it begins with, or None; it changes nothing in an image that already went
    through it, so that it may be done once for all readings.
    """

    first: ShorterSide | None

    def __call__(self, image: Image) -> Image:
        """Turn uint8 (H, W, 3) into uint8 (S, S, 3)."""
        ...
