"""Keeps the images of a small split in memory, so that each is decoded once and not in every epoch."""

from __future__ import annotations

from collections.abc import Callable

from dmix.data.augment.resize import Image

MOST_BYTES = 32 * 2**20
"""The most that a process keeps of a split. Embedded sets have less; real ones pass it within seconds."""


class Kept:
    """Makes each image when it is first asked for; keeps all that it makes, or none if they are too large.

    Each worker process keeps its own.

    Parameters
    ----------
    make: returns the image of an index, always the same one. most: bytes of all images that are kept.
    """

    def __init__(self, make: Callable[[int], Image], most: int = MOST_BYTES) -> None:
        self._make = make
        self._room = most
        self._kept: dict[int, Image] = {}

    def __call__(self, index: int) -> Image:
        """Return an image, uint8 (H, W, 3) RGB, which must not be written to."""
        if (known := self._kept.get(index)) is not None:
            return known
        image = self._make(index)
        if self._room >= 0:
            self._keep(index, image)
        return image

    def _keep(self, index: int, image: Image) -> None:
        self._room -= image.nbytes
        if self._room < 0:
            self._kept.clear()
            return
        image.flags.writeable = False  # an augmentation that writes to it would change the next epoch
        self._kept[index] = image
