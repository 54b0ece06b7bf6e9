"""FixMatch's strong view by Pillow, one image at a time on the host: the reference for `strong`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt, Interval
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from dmix.data.augment.cutout import FILL
from dmix.data.augment.strong import StrongCrop
from dmix.part import part

Picture = Image.Image
Pixels = npt.NDArray[np.uint8]


@part
class StrongPillow:
    """Same settings, draws and pixels as `strong`, by the library that published code uses.

    It is slow: each batch is copied to the host, and every image goes through Pillow in this process.
    """

    def __init__(
        self,
        *,
        operations: Annotated[int, Gt(0)],
        cutout: Annotated[float, Interval(ge=0, le=1)],
        padding: Annotated[int, Ge(0)],
        flip: Annotated[float, Interval(ge=0, le=1)],
    ) -> None:
        self._batched = StrongCrop(operations=operations, cutout=cutout, padding=padding, flip=flip)
        self.operations, self.padding = operations, padding

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Return what `strong` draws.

        Raises
        ------
        DmixError: `padding` is not less than the images' shorter side.
        """
        return self._batched.draw(n, shape, rng)

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws on the same device, into uint8 (N, 3, H, W)."""
        rows = zip(images.permute(0, 2, 3, 1).cpu().numpy(), draws.cpu().numpy(), strict=True)
        made = [augmented(image, row, self.operations, self.padding) for image, row in rows]
        return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(images.device)


def augmented(image: Pixels, draws: npt.NDArray[np.float64], operations: int, padding: int) -> Pixels:
    """Augment uint8 (H, W, 3) by one row of draws of `operations` operations."""
    numbers, values, box, weak = np.split(draws, np.cumsum((operations, operations, 3)))
    picture = Image.fromarray(image)
    for number, value in zip(numbers.astype(int).tolist(), values.tolist(), strict=True):
        picture = OPERATIONS[NAMES[number]][0](picture, value)
    dy, dx, flip = weak.astype(int).tolist()
    return shifted(np.asarray(cut_out(picture, *box.tolist())), padding, dy, dx, flip)


def _affine(picture: Picture, matrix: tuple[float, ...]) -> Picture:
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix)


# TorchSSL's list, in its order: operation by name, with the range of its value.
OPERATIONS: dict[str, tuple[Callable[[Picture, Any], Picture], float, float]] = {
    "AutoContrast": (lambda picture, _: ImageOps.autocontrast(picture), 0, 0),
    "Brightness": (lambda picture, value: ImageEnhance.Brightness(picture).enhance(value), 0.05, 0.95),
    "Color": (lambda picture, value: ImageEnhance.Color(picture).enhance(value), 0.05, 0.95),
    "Contrast": (lambda picture, value: ImageEnhance.Contrast(picture).enhance(value), 0.05, 0.95),
    "Equalize": (lambda picture, _: ImageOps.equalize(picture), 0, 0),
    "Identity": (lambda picture, _: picture, 0, 0),
    "Posterize": (lambda picture, value: ImageOps.posterize(picture, max(1, int(value))), 4, 8),
    "Rotate": (lambda picture, value: picture.rotate(value), -30, 30),
    "Sharpness": (lambda picture, value: ImageEnhance.Sharpness(picture).enhance(value), 0.05, 0.95),
    "ShearX": (lambda picture, value: _affine(picture, (1, value, 0, 0, 1, 0)), -0.3, 0.3),
    "ShearY": (lambda picture, value: _affine(picture, (1, 0, 0, value, 1, 0)), -0.3, 0.3),
    "Solarize": (lambda picture, value: ImageOps.solarize(picture, value), 0, 256),
    "TranslateX": (lambda p, value: _affine(p, (1, 0, value * p.width, 0, 1, 0)), -0.3, 0.3),
    "TranslateY": (lambda p, value: _affine(p, (1, 0, 0, 0, 1, value * p.height)), -0.3, 0.3),
}
NAMES = tuple(OPERATIONS)


def cut_out(picture: Picture, side: float, x: float, y: float) -> Picture:
    """Return a copy with a box filled; Pillow's rectangles include both end points."""
    if side <= 0:
        return picture
    left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    right, bottom = min(picture.width, left + side), min(picture.height, top + side)
    picture = picture.copy()
    ImageDraw.Draw(picture).rectangle((left, top, right, bottom), FILL)
    return picture


def shifted(image: Pixels, padding: int, dy: int, dx: int, flip: int) -> Pixels:
    """Pad uint8 (H, W, 3) by reflection, crop it at (padding + dy, padding + dx), flip it."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    crop = padded[padding + dy : padding + dy + height, padding + dx : padding + dx + width]
    return crop[:, ::-1] if flip else crop
