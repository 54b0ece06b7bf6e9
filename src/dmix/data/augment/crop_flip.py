"""Random crop with reflected borders, then a random horizontal flip: the usual CIFAR augmentation."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Interval

from dmix.errors import DmixError
from dmix.part import part


@part
class CropFlip:
    """Shift by up to `padding` pixels each way, filling by reflection, and flip with probability `flip`.

    Equals padding by reflection, cropping at (padding + dy, padding + dx) and flipping.
    """

    def __init__(
        self, *, padding: Annotated[int, Ge(0)], flip: Annotated[float, Interval(ge=0, le=1)]
    ) -> None:
        self.padding = padding
        self.flip = flip

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.int16]:
        """Return int16 (n, 3): dy and dx in -padding..padding, and flip, 0 or 1.

        Raises
        ------
        DmixError: `padding` is not less than the images' shorter side, so there are too few pixels to
        reflect.
        """
        size = min(shape)
        if self.padding >= size:
            raise DmixError(
                f"crop_flip: padding {self.padding} needs images of more than {self.padding} pixels; "
                f"these have {size}",
                f"set padding to at most {size - 1} in params.yaml",
            )
        draws = np.empty((n, 3), np.int16)
        draws[:, :2] = rng.integers(-self.padding, self.padding, (n, 2), np.int16, endpoint=True)
        draws[:, 2] = rng.random(n) < self.flip
        return draws

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws (N, 3) on the same device, into uint8 (N, 3, H, W)."""
        height, width = images.shape[2:]
        dy, dx, flip = draws.long().unsqueeze(2).unbind(1)
        rows = torch.arange(height, device=images.device)
        columns = torch.arange(width, device=images.device)
        columns = torch.where(flip == 1, width - 1 - columns, columns)
        source = _reflect(rows + dy, height)[:, :, None] * width + _reflect(columns + dx, width)[:, None, :]
        # one gather over flattened pixels: no loop, no padded copy
        index = source.flatten(1)[:, None].expand(-1, images.shape[1], -1)
        return images.flatten(2).gather(2, index).view_as(images)


def _reflect(index: torch.Tensor, length: int) -> torch.Tensor:
    """Fold indices in -(length-1)..2*(length-1) back into 0..length-1; the edge itself is not repeated."""
    return (length - 1) - ((length - 1) - index.abs()).abs()
