"""Self-Tuning's augmentation (Wang et al., 2021): square, random resized crop, RandAugment, Cutout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
from annotated_types import Ge, Gt, Interval
from PIL import ImageEnhance, ImageOps

from dmix.data.augment.random_resized_crop import RandomResizedCrop
from dmix.data.augment.resize import Image, Square
from dmix.part import part

LEVELS = 10  # the strength of an operation is its level, 1 to 9, over 10
USED = 0.5  # probability that a drawn operation is applied
GREY = 127


@part
class SquareRandAugment:
    """Resize to `first_side` pixels square, random resized crop and flip, RandAugment, one Cutout box.

    The first resize is bicubic and deterministic, and does not keep the aspect ratio.

    RandAugment draws `operations` of fourteen with replacement; each has a random level and is applied with
    probability 1/2. Operations are Pillow's: geometric ones sample the nearest pixel and fill with black.

    Settings: `size`, `scale`, `interpolation` and `flip` as in `random_resized_crop`; `cutout` the side of
    the grey box in pixels, 0 for no box (`cut_out`).

    Raises
    ------
    DmixError: `scale` is not a range within 0 to 1.
    """

    def __init__(
        self,
        *,
        first_side: Annotated[int, Gt(0)],
        size: Annotated[int, Gt(0)],
        scale: tuple[float, float],
        interpolation: Literal["bilinear", "bicubic"],
        flip: Annotated[float, Interval(ge=0, le=1)],
        operations: Annotated[int, Ge(0)] = 0,
        cutout: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.first_resize = Square(first_side, "bicubic")
        self.operations = operations
        self.cutout = cutout
        self._crop = RandomResizedCrop(size=size, scale=scale, interpolation=interpolation, flip=flip)

    def __call__(self, image: Image, rng: np.random.Generator) -> Image:
        """Augment uint8 (H, W, 3) into uint8 (size, size, 3)."""
        crop = self._crop(self.first_resize(image), rng)
        return cut_out(rand_augment(crop, self.operations, rng), self.cutout, rng)


Picture = PIL.Image.Image


@dataclass(frozen=True)
class Operation:
    """One of RandAugment's operations, and the value of each of its levels.

    Parameters
    ----------
    apply: from an RGB image and a value to an RGB image of the same size.
    largest, bias: the value of level m is m / 10 * largest + bias; if `whole`, the product is rounded down.
    signed: the value is negated with probability 1/2.
    """

    apply: Callable[[Picture, float], Picture]
    largest: float = 0.0
    bias: float = 0.0
    whole: bool = False
    signed: bool = False

    def value(self, level: int, sign: int) -> float:
        """Return the value of a level, 1 to 9, and a sign, 1 or -1."""
        share = level * self.largest / LEVELS
        value = (int(share) if self.whole else share) + self.bias
        return sign * value if self.signed else value


def _affine(picture: Picture, matrix: tuple[float, ...]) -> Picture:
    """Take the pixel at column x and row y from column `ax + by + c` and row `dx + ey + f`."""
    return picture.transform(picture.size, PIL.Image.Transform.AFFINE, matrix)


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": Operation(lambda picture, _: ImageOps.autocontrast(picture)),
    "Brightness": Operation(lambda picture, v: ImageEnhance.Brightness(picture).enhance(v), 0.9, 0.05),
    "Color": Operation(lambda picture, v: ImageEnhance.Color(picture).enhance(v), 0.9, 0.05),
    "Contrast": Operation(lambda picture, v: ImageEnhance.Contrast(picture).enhance(v), 0.9, 0.05),
    "Equalize": Operation(lambda picture, _: ImageOps.equalize(picture)),
    "Identity": Operation(lambda picture, _: picture),
    "Posterize": Operation(lambda picture, v: ImageOps.posterize(picture, int(v)), 4, 4, whole=True),
    "Rotate": Operation(lambda picture, v: picture.rotate(v), 30, whole=True, signed=True),
    "Sharpness": Operation(lambda picture, v: ImageEnhance.Sharpness(picture).enhance(v), 0.9, 0.05),
    "ShearX": Operation(lambda picture, v: _affine(picture, (1, v, 0, 0, 1, 0)), 0.3, signed=True),
    "ShearY": Operation(lambda picture, v: _affine(picture, (1, 0, 0, v, 1, 0)), 0.3, signed=True),
    "Solarize": Operation(lambda picture, v: ImageOps.solarize(picture, 256 - int(v)), 256, whole=True),
    "TranslateX": Operation(
        lambda picture, v: _affine(picture, (1, 0, int(v * picture.width), 0, 1, 0)), 0.3, signed=True
    ),
    "TranslateY": Operation(
        lambda picture, v: _affine(picture, (1, 0, 0, 0, 1, int(v * picture.height))), 0.3, signed=True
    ),
}
"""Operations by name; an operation's number is its position here.

Values are the factor of an enhancement; Posterize: the bits kept; Rotate: degrees counter-clockwise; Shear:
pixels per pixel; Solarize: how many of the brightest levels are inverted; Translate: the share of the side,
rounded to whole pixels.
"""

NAMES = tuple(OPERATIONS)


class DrawnOperations(NamedTuple):
    """Random choices of operations, each (operations,): number, level 1..9, whether used, sign 1 or -1."""

    numbers: npt.NDArray[np.int64]
    levels: npt.NDArray[np.int64]
    used: npt.NDArray[np.bool_]
    signs: npt.NDArray[np.int64]


def draw_operations(operations: int, rng: np.random.Generator) -> DrawnOperations:
    """Draw operations with replacement; each has all four choices, whether it needs them or not."""
    return DrawnOperations(
        rng.integers(len(NAMES), size=operations),
        rng.integers(1, LEVELS, size=operations),
        rng.random(operations) < USED,
        1 - 2 * rng.integers(2, size=operations),
    )


def rand_augment(image: Image, operations: int, rng: np.random.Generator) -> Image:
    """Apply `operations` drawn operations to uint8 (H, W, 3), one after the other."""
    picture = PIL.Image.fromarray(image)
    drawn = draw_operations(operations, rng)
    for number, level, used, sign in zip(*(values.tolist() for values in drawn), strict=True):
        if used:
            operation = OPERATIONS[NAMES[number]]
            picture = operation.apply(picture, operation.value(level, sign))
    return np.asarray(picture)


def cut_out(image: Image, side: int, rng: np.random.Generator) -> Image:
    """Return a copy of uint8 (H, W, 3) with a grey box around a uniform centre; for a side of 0 `image`
    itself.

    The box starts at centre - side / 2, but not below 0, and includes both end points: it is `side + 1`
    pixels high and wide, and clipped at the right and bottom edges only.
    """
    if not side:
        return image
    height, width = image.shape[:2]
    left, top = (int(max(0.0, length * rng.random() - side / 2)) for length in (width, height))
    result = image.copy()
    result[top : top + side + 1, left : left + side + 1] = GREY
    return result
