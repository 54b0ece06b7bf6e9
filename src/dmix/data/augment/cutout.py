"""Batched Cutout (DeVries and Taylor, 2017) as in TorchSSL: a grey box of random size and position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FILL = (125, 123, 114)


def draw_cutouts(
    n: int, shape: tuple[int, int], largest: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw (n, 3) in pixels: a box's side, at most `largest` times the width, and its centre, x and y."""
    height, width = shape
    return rng.random((n, 3)) * (largest * width, width, height)


def cut_out(images: Tensor, boxes: Tensor) -> Tensor:
    """Return a copy of uint8 (N, 3, H, W) with a box of each image filled.

    A box starts at centre - side / 2, but not below 0, and includes both end points, so it covers one pixel
    more than its side. It is clipped at the right and bottom edges. A side of 0 draws no box.

    Parameters
    ----------
    boxes: float64 (N, 3), side, x and y of the centre.
    """
    side, x, y = boxes[:, :, None].unbind(1)
    filled = _within(x, side, images.shape[3])[:, None] & _within(y, side, images.shape[2])[..., None]
    filled = filled & (side > 0)[..., None]
    # one channel at a time: a tensor of the three levels would be copied from the host for every batch
    channels = (
        channel.masked_fill(filled, level) for channel, level in zip(images.unbind(1), FILL, strict=True)
    )
    return torch.stack(list(channels), 1)


def _within(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """Return bool (N, length): which positions of an axis are inside the box."""
    place = torch.arange(length, device=centre.device)
    start = torch.floor((centre - side / 2).clamp(min=0))
    return (place >= start) & (place <= start + side)
