"""Batched crop and resize on the device, one box per image: equals Pillow's resize bit for bit.

The width is resized first, then the height. An output pixel is a weighted mean of the input pixels under a
kernel that widens with the reduction. Weights are rounded to multiples of 2^-22, and the result of each of
the two passes to a level of 0 to 255. The weights of a sample and axis are a matrix, so a batch takes two
batched matrix products. These are over integers in float64: every sum is exact, in any order and on any
device.
"""

from __future__ import annotations

import torch

from dmix.data.augment.resize import Interpolation

BITS = 22  # fractional bits of a weight; Pillow's PRECISION_BITS


def resized_crop(
    images: torch.Tensor, boxes: torch.Tensor, size: int, interpolation: Interpolation
) -> torch.Tensor:
    """Crop each image of uint8 (N, 3, H, W) to its box and resize the crop, into uint8 (N, 3, size, size).

    Parameters
    ----------
    boxes: (N, 4), top, left, height and width, within the images and on their device.
    """
    n, channels, height, width = images.shape
    top, left, tall, wide = boxes.unbind(1)
    down = _rounded(weights(top, tall, height, size, interpolation))
    across = _rounded(weights(left, wide, width, size, interpolation))
    rows = images.reshape(n, channels * height, width).double()
    rows = _levels(rows @ across.transpose(1, 2)).view(n, channels, height, size)
    return _levels(down[:, None] @ rows).to(torch.uint8)


def weights(
    start: torch.Tensor, length: torch.Tensor, total: int, size: int, interpolation: Interpolation
) -> torch.Tensor:
    """Return float64 (N, size, total): the weight of every input pixel in every output pixel of an axis.

    Parameters
    ----------
    start, length: integers (N,), the interval of the axis that is resized to `size` pixels.
    total: pixels of the whole axis; those outside the interval have weight 0.
    """
    start, length = (values.double()[:, None, None] for values in (start, length))
    output = torch.arange(size, dtype=torch.float64, device=start.device)[:, None]
    place = torch.arange(total, dtype=torch.float64, device=start.device) - start
    scale = length / size
    # the kernel is widened for a reduction, and never narrowed
    distance = (place - (output + 0.5) * scale + 0.5) / scale.clamp(min=1)
    kernel = _bicubic(distance.abs()) if interpolation == "bicubic" else (1 - distance.abs()).clamp(min=0)
    kernel = kernel * ((place >= 0) & (place < length))
    return kernel / kernel.sum(2, keepdim=True)


def _bicubic(x: torch.Tensor) -> torch.Tensor:
    """Keys' cubic convolution kernel with a = -1/2, of distances of 0 or more."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _rounded(share: torch.Tensor) -> torch.Tensor:
    """Round each weight to a multiple of 2^-22, and return it times 2^22."""
    scaled = share * 2**BITS
    return torch.trunc(scaled + 0.5 * scaled.sign())


def _levels(total: torch.Tensor) -> torch.Tensor:
    """Return the level, 0..255, of each sum of levels times rounded weights."""
    return torch.floor((total + 2 ** (BITS - 1)) * 2.0**-BITS).clamp(0, 255)
