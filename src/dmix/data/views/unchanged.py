"""Test images as they are."""

from __future__ import annotations

from dmix.data.augment.resize import Image
from dmix.data.views.contract import OneCrop
from dmix.part import part


@part
class Unchanged(OneCrop):
    """Leave images as they are; those of a batch must have one size."""

    first_resize = None

    def __call__(self, image: Image) -> Image:
        """Return `image`."""
        return image
