"""Resize and centre crop: the test-time transform of ImageNet and the fine-grained sets."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.augment.resize import Image, ShorterSide
from dmix.data.views.contract import OneCrop
from dmix.errors import DmixError
from dmix.part import part


@part
class ResizeCrop(OneCrop):
    """Resize the shorter side to `shorter_side` pixels and crop the centre, `size` pixels square.

    As torchvision's `Resize(shorter_side)` and `CenterCrop(size)`; `interpolation` is that of the resize.

    Raises
    ------
    DmixError: `size` is more than `shorter_side`.
    """

    def __init__(
        self,
        *,
        shorter_side: Annotated[int, Gt(0)],
        size: Annotated[int, Gt(0)],
        interpolation: Literal["bilinear", "bicubic"],
    ) -> None:
        if size > shorter_side:
            raise DmixError(
                f"resize_crop: a crop of {size} pixels does not fit into a shorter side of {shorter_side}",
                f"set size to at most {shorter_side} in params.yaml",
            )
        self.size = size
        self.first_resize = ShorterSide(shorter_side, interpolation)

    def __call__(self, image: Image) -> Image:
        """Turn uint8 (H, W, 3) into uint8 (size, size, 3)."""
        image = self.first_resize(image)
        # half margins are rounded to even, as by torchvision's round()
        top, left = (round((length - self.size) / 2) for length in image.shape[:2])
        return image[top : top + self.size, left : left + self.size]
