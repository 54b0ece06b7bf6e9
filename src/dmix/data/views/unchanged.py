"""The test-time transform that changes nothing."""

from __future__ import annotations

from dmix.data.augment.resize import Image
from dmix.data.views.contract import OneCrop
from dmix.part import part


@part
class Unchanged(OneCrop):
    """Leave images as they are; all images of a batch must have the same size."""

    first_resize = None

    def __call__(self, image: Image) -> Image:
        """Return `image`."""
        return image
