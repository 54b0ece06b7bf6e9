"""The strong augmentation of one image with Pillow, from the draws of the batched one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

FILL = (125, 123, 114)


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


# TorchSSL's list, in its order: operation by name, with the range of its value.
OPERATIONS: dict[str, tuple[Callable[[Image.Image, float], Image.Image], float, float]] = {
    "AutoContrast": (lambda image, _: ImageOps.autocontrast(image), 0, 0),
    "Brightness": (lambda image, value: ImageEnhance.Brightness(image).enhance(value), 0.05, 0.95),
    "Color": (lambda image, value: ImageEnhance.Color(image).enhance(value), 0.05, 0.95),
    "Contrast": (lambda image, value: ImageEnhance.Contrast(image).enhance(value), 0.05, 0.95),
    "Equalize": (lambda image, _: ImageOps.equalize(image), 0, 0),
    "Identity": (lambda image, _: image, 0, 0),
    "Posterize": (lambda image, value: ImageOps.posterize(image, max(1, int(value))), 4, 8),
    "Rotate": (lambda image, value: image.rotate(value), -30, 30),
    "Sharpness": (lambda image, value: ImageEnhance.Sharpness(image).enhance(value), 0.05, 0.95),
    "ShearX": (lambda image, value: _affine(image, (1, value, 0, 0, 1, 0)), -0.3, 0.3),
    "ShearY": (lambda image, value: _affine(image, (1, 0, 0, value, 1, 0)), -0.3, 0.3),
    "Solarize": (lambda image, value: ImageOps.solarize(image, value), 0, 256),
    "TranslateX": (lambda image, value: _affine(image, (1, 0, value * image.width, 0, 1, 0)), -0.3, 0.3),
    "TranslateY": (lambda image, value: _affine(image, (1, 0, 0, 0, 1, value * image.height)), -0.3, 0.3),
}
NAMES = tuple(OPERATIONS)


def cutout(image: Image.Image, side: float, x: float, y: float) -> Image.Image:
    """Fill a box; Pillow's rectangles have both of their end points inside."""
    if side <= 0:
        return image
    left, top = int(max(0, x - side / 2)), int(max(0, y - side / 2))
    right, bottom = min(image.width, left + side), min(image.height, top + side)
    image = image.copy()
    ImageDraw.Draw(image).rectangle((left, top, right, bottom), FILL)
    return image


def crop_flip(image: np.ndarray, padding: int, dy: int, dx: int, flip: int) -> np.ndarray:
    """Pad (H, W, 3) by reflection, crop, flip."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)), mode="reflect")
    crop = padded[padding + dy : padding + dy + height, padding + dx : padding + dx + width]
    return crop[:, ::-1] if flip else crop


def strong(image: np.ndarray, draws: np.ndarray, operations: int, padding: int) -> np.ndarray:
    """Augment uint8 (H, W, 3) by one row of draws."""
    numbers, values, box, weak = np.split(draws, np.cumsum((operations, operations, 3)))
    picture = Image.fromarray(image)
    for number, value in zip(numbers.astype(int).tolist(), values.tolist(), strict=True):
        picture = OPERATIONS[NAMES[number]][0](picture, value)
    picture = cutout(picture, *box.tolist())
    return crop_flip(np.asarray(picture), padding, *weak.astype(int).tolist())
