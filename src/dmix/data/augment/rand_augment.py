"""Random resized crop, RandAugment (Cubuk et al., 2020), random erasing: the recipes of DeiT and RSB."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import PIL.Image
import PIL.ImageOps
from annotated_types import Gt, Interval

from dmix import vision
from dmix.data.augment.erase import erase
from dmix.data.augment.global_random import seeded_from
from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.augment.resize import FILTERS, Image
from dmix.part import part

FILL = (124, 116, 104)  # ImageNet's mean, for pixels that an operation uncovers


@part
class RandAugment:
    """Random resized crop and flip, `operations` of timm's fifteen "increasing" ops, random erasing.

    Operations are drawn with replacement and each is applied with probability 1/2. Its magnitude (0..10) is
    normal with mean `magnitude` and standard deviation `magnitude_std`. There is no colour jitter: timm
    leaves it out beside RandAugment, whatever `--color-jitter` says, and OpenMixup's configurations have
    none.

    Settings: `size`, `scale`, `interpolation` (of the operations too) and `flip` as in `random_resized_crop`;
    `erasing` the probability of erasing.

    Raises
    ------
    DmixError: `scale` is not a range within 0 to 1.
    """

    first_resize = None

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        scale: tuple[float, float],
        interpolation: Literal["bilinear", "bicubic"],
        flip: Annotated[float, Interval(ge=0, le=1)],
        operations: Annotated[int, Gt(0)],
        magnitude: Annotated[int, Interval(ge=0, le=10)],
        magnitude_std: Annotated[float, Interval(ge=0, le=10)],
        erasing: Annotated[float, Interval(ge=0, le=1)] = 0.0,
    ) -> None:
        self._crop = RandomResizedCrop(size=size, scale=scale, interpolation=interpolation, flip=flip)
        self._augment = vision.timm().data.rand_augment_transform(
            f"rand-m{magnitude}-n{operations}-mstd{magnitude_std}-inc1",
            {"img_mean": FILL, "interpolation": FILTERS[interpolation]},
        )
        for operation in self._augment.ops:
            if operation.name == "PosterizeIncreasing":
                operation.aug_fn = _posterize
        self._erasing = erasing

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Augment uint8 (H, W, 3) into uint8 (size, size, 3)."""
        crop = PIL.Image.fromarray(self._crop(image, rng))
        with seeded_from(rng):
            augmented = self._augment(crop)
        return erase(np.asarray(augmented), self._erasing, rng)


def _posterize(image: PIL.Image.Image, bits: int, **settings: object) -> PIL.Image.Image:
    """Keep the upper `bits` of each level; 0 bits, at the largest magnitude, give a black image.

    timm passes 0 bits on to Pillow, which refuses them since version 13.
    """
    del settings
    return PIL.ImageOps.posterize(image, bits) if bits else PIL.Image.new("RGB", image.size)
