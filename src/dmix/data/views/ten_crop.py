"""Ten crops with summed logits: the test-time transform of transfer learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Gt
from torch import Tensor

from dmix.data.augment.resize import Image, Square
from dmix.errors import DmixError
from dmix.part import part


@part
class TenCrop:
    """Resize to `side` pixels square; evaluate five crops of `size` pixels, of the image and of its mirror
    image.

    The crops are the four corners and the centre. The prediction is the sum of the ten logits, not of
    probabilities. The far corners begin at `side - size - 1` (at 31 for 224 of 256 pixels, where 32 would
    fit), so no crop has the last row or column. Self-Tuning's published code does the same, and scores are to
    be comparable with its scores. `interpolation` is that of the resize.

    Raises
    ------
    DmixError: `size` is not less than `side`.
    """

    centre = 4  # the image's, not its mirror image's

    def __init__(
        self,
        *,
        side: Annotated[int, Gt(0)],
        size: Annotated[int, Gt(0)],
        interpolation: Literal["bilinear", "bicubic"],
    ) -> None:
        if size >= side:
            raise DmixError(
                f"ten_crop: no five crops of {size} pixels fit into {side} pixels square",
                f"set size to less than {side} in params.yaml",
            )
        self.size = size
        self.first_resize = Square(side, interpolation)
        far, middle = side - size - 1, round((side - size) / 2)
        # left and top of each crop
        self.places = ((0, 0), (far, far), (far, 0), (0, far), (middle, middle))

    def __call__(self, image: Image) -> Image:
        """Turn uint8 (H, W, 3) into uint8 (side, side, 3)."""
        return self.first_resize(image)

    def crops(self, images: Tensor) -> Iterator[Tensor]:
        """Yield ten crops (N, 3, size, size) of (N, 3, side, side): five of the images, five of the mirror
        images.

        The first five share the memory of `images`.
        """
        for seen in (images, images.flip(3)):
            for left, top in self.places:
                yield seen[:, :, top : top + self.size, left : left + self.size]
