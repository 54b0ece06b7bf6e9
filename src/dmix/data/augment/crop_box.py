"""Draws the boxes of random resized crops (Szegedy et al., 2015), as torchvision does."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

RATIO = (3 / 4, 4 / 3)  # width over height
ATTEMPTS = 10

Box = tuple[int, int, int, int]
"""Top, left, height and width, in pixels."""


def draw_boxes(
    n: int, shape: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return (n, 4): top, left, height and width of a box in an image of `shape` (height, width).

    The area is uniform within `scale` times the image's area, the aspect ratio log-uniform within RATIO. The
    first of ten draws that fits is taken; if none fits, the largest central box with a ratio within RATIO.
    """
    height, width = shape
    area = rng.uniform(*scale, (n, ATTEMPTS)) * (height * width)
    ratio = np.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1]), (n, ATTEMPTS)))
    tall = np.rint(np.sqrt(area / ratio)).astype(np.int64)
    wide = np.rint(np.sqrt(area * ratio)).astype(np.int64)
    fits = (tall > 0) & (tall <= height) & (wide > 0) & (wide <= width)
    row, first, found = np.arange(n), fits.argmax(1), fits.any(1)
    central_height, central_width = _central(height, width)
    tall = np.where(found, tall[row, first], central_height)
    wide = np.where(found, wide[row, first], central_width)
    top = np.where(found, rng.integers(0, height - tall, endpoint=True), (height - tall) // 2)
    left = np.where(found, rng.integers(0, width - wide, endpoint=True), (width - wide) // 2)
    return np.stack((top, left, tall, wide), axis=1)


def draw_box(shape: tuple[int, int], scale: tuple[float, float], rng: np.random.Generator) -> Box:
    """Return the one box of `draw_boxes(1, shape, scale, rng)`, in a quarter of its time."""
    height, width = shape
    area = rng.uniform(*scale, ATTEMPTS) * (height * width)
    ratio = np.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1]), ATTEMPTS))
    sides = zip(np.rint(np.sqrt(area / ratio)).tolist(), np.rint(np.sqrt(area * ratio)).tolist(), strict=True)
    first = next((pair for pair in sides if 0 < pair[0] <= height and 0 < pair[1] <= width), None)
    tall, wide = _central(height, width) if first is None else (int(first[0]), int(first[1]))
    top = int(rng.integers(0, height - tall, endpoint=True))
    left = int(rng.integers(0, width - wide, endpoint=True))
    return (
        ((height - tall) // 2, (width - wide) // 2, tall, wide) if first is None else (top, left, tall, wide)
    )


def _central(height: int, width: int) -> tuple[int, int]:
    low, high = RATIO
    if width < low * height:
        return round(width / low), width
    if width > high * height:
        return height, round(height * high)
    return height, width
