"""Batched rotations, shears and translations, one per image, by nearest pixel: equals Pillow bit for bit.

An affine map gives the input position of each output pixel; positions outside the image give black. Pillow
computes positions in fixed point, in units of 2^-16 pixels, so once the map is rounded to these units, every
position is exact, in any order and on any device. Only translations start from unrounded numbers. Images must
be less than 2^15 pixels high and wide.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROTATE, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y = "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"
PIXEL = 65536.0
DIGITS = 1e15  # Pillow rounds sine and cosine to 15 decimals


def transformed(images: Tensor, kinds: dict[str, Tensor], value: Tensor) -> Tensor:
    """Rotate, shear or translate each image of uint8 (N, 3, H, W).

    Parameters
    ----------
    kinds: bool (N,) by name of the transform, the images it applies to; images in none stay unchanged.
    value: float64 (N,), degrees counter-clockwise of a rotation, pixels per pixel of a shear, share of the
        side of a translation.
    """
    height, width = images.shape[2:]
    x_x, x_y, x_0, y_x, y_y, y_0 = (
        part[:, None, None] for part in _integers(kinds, value, height, width).unbind(1)
    )
    row = torch.arange(height, dtype=torch.int32, device=images.device)[:, None]
    column = torch.arange(width, dtype=torch.int32, device=images.device)
    x = (x_0 + x_y * row + x_x * column) >> 16
    y = (y_0 + y_y * row + y_x * column) >> 16
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    source = (y * width + x) * inside
    index = source.long().flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view(images.shape) * inside[:, None]


def _integers(kinds: dict[str, Tensor], value: Tensor, height: int, width: int) -> Tensor:
    """Return int32 (N, 6), for x and then y: the factors of the output column and row, and the offset."""
    rotate, zero, one = kinds[ROTATE], torch.zeros_like(value), torch.ones_like(value)
    angle = -(torch.remainder(value, 360.0) * (math.pi / 180))
    cosine, sine = (torch.round(part * DIGITS) / DIGITS for part in (angle.cos(), angle.sin()))
    straight = torch.where(rotate, cosine, one)
    x_y = torch.where(rotate, sine, torch.where(kinds[SHEAR_X], value, zero))
    y_x = torch.where(rotate, -sine, torch.where(kinds[SHEAR_Y], value, zero))
    # rotations are around the centre; sums are in Pillow's order, and pixels are sampled at their centres
    centre_x, centre_y = width / 2, height / 2
    x_0 = torch.where(rotate, (cosine * -centre_x + sine * -centre_y) + centre_x, zero)
    y_0 = torch.where(rotate, (-sine * -centre_x + cosine * -centre_y) + centre_y, zero)
    x_0 = _fixed((x_0 + straight * 0.5) + x_y * 0.5)
    y_0 = _fixed((y_0 + y_x * 0.5) + straight * 0.5)
    x_0 = torch.where(kinds[TRANSLATE_X], _whole(value * width), x_0)
    y_0 = torch.where(kinds[TRANSLATE_Y], _whole(value * height), y_0)
    parts = (_fixed(straight), _fixed(x_y), x_0, _fixed(y_x), _fixed(straight), y_0)
    return torch.stack(parts, 1).int()


def _fixed(number: Tensor) -> Tensor:
    """Round to fixed point: the nearest multiple of 2^-16, times 2^16."""
    return torch.floor(number * PIXEL + 0.5)


def _whole(shift: Tensor) -> Tensor:
    """Return in fixed point the centre of the input pixel of output pixel 0."""
    return torch.floor(shift + 0.5) * PIXEL + PIXEL / 2
