"""Random resized crop, then a random horizontal flip: the augmentation of ImageNet recipes."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Interval

from dmix.data.augment.crop_box import draw_box, draw_boxes
from dmix.data.augment.resample import resized_crop
from dmix.data.augment.resize import Image, ShorterSide, resize
from dmix.errors import DmixError
from dmix.part import part


@part
class RandomResizedCrop:
    """Crop a box of a random area and ratio, resize it to `size` pixels square, flip with probability `flip`.

    The same box gives the same pixels in both forms, in memory and on disk.

    Settings: `scale` (low, high) the crop's share of the image's area; `shorter_side` the pixels to which the
    shorter side of an image on disk is resized first, 0 for no such resize; `interpolation` of the resizes.

    Raises
    ------
    DmixError: `scale` is not a range within 0 to 1.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        scale: tuple[float, float],
        interpolation: Literal["bilinear", "bicubic"],
        flip: Annotated[float, Interval(ge=0, le=1)],
        shorter_side: Annotated[int, Ge(0)] = 0,
    ) -> None:
        low, high = scale
        if not 0 < low <= high <= 1:
            raise DmixError(
                f"scale [{low}, {high}] is no range of shares of an image's area",
                "set scale to [low, high] with 0 < low <= high <= 1 in params.yaml",
            )
        self.size = size
        self.scale = (low, high)
        self.interpolation = interpolation
        self.flip = flip
        self.first_resize = ShorterSide(shorter_side, interpolation) if shorter_side else None

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Return int32 (n, 5): top, left, height and width of the box, and flip, 0 or 1.

        Raises
        ------
        DmixError: `shorter_side` is set, and images in memory have another shorter side.
        """
        if self.first_resize is not None and min(shape) != self.first_resize.size:
            raise DmixError(
                f"shorter_side {self.first_resize.size} is for images on disk; these are in memory, "
                f"{shape[0]} by {shape[1]} pixels",
                "set shorter_side to 0 in params.yaml",
            )
        draws = np.empty((n, 5), np.int32)
        draws[:, :4] = draw_boxes(n, shape, self.scale, rng)
        draws[:, 4] = rng.random(n) < self.flip
        return draws

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws (N, 5) on the same device, into uint8 (N, 3, size, size)."""
        crops = resized_crop(images, draws[:, :4], self.size, self.interpolation)
        return torch.where(draws[:, 4].bool()[:, None, None, None], crops.flip(3), crops)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Augment uint8 (H, W, 3) into uint8 (size, size, 3)."""
        if self.first_resize is not None:
            image = self.first_resize(image)
        height, width = image.shape[:2]
        top, left, tall, wide = draw_box((height, width), self.scale, rng)
        crop = resize(image[top : top + tall, left : left + wide], self.size, self.size, self.interpolation)
        return crop[:, ::-1] if rng.random() < self.flip else crop
