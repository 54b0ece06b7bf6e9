"""Cutout (DeVries and Taylor, 2017) of a batch, as TorchSSL has it: a grey box of random size and place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

FILL = (125, 123, 114)


def draw_cutouts(
    n: int, shape: tuple[int, int], largest: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return (n, 3) in pixels: a box's side, at most `largest` of the width, and its centre, x and y."""
    height, width = shape
    return rng.random((n, 3)) * (largest * width, width, height)


def cut_out(images: Tensor, boxes: Tensor) -> Tensor:
    """Return a copy of uint8 (N, 3, H, W) with a box of each image filled.

    A box begins half a side before its centre, at 0 at the least, and has both of its end points inside, so
    it is wider by a pixel than its side; it is cut at the right and at the bottom, not moved. A side of 0 is
    no box.

    Parameters
    ----------
    boxes: float64 (N, 3), side, x and y of the centre.
    """
    side, x, y = boxes[:, :, None].unbind(1)
    filled = _within(x, side, images.shape[3])[:, None] & _within(y, side, images.shape[2])[..., None]
    filled = filled & (side > 0)[..., None]
    # one level at a time: a tensor of the three would be copied from the host in every batch
    channels = (
        channel.masked_fill(filled, level) for channel, level in zip(images.unbind(1), FILL, strict=True)
    )
    return torch.stack(list(channels), 1)


def _within(centre: Tensor, side: Tensor, length: int) -> Tensor:
    """Return bool (N, length): the places of an axis that are within a box."""
    place = torch.arange(length, device=centre.device)
    start = torch.floor((centre - side / 2).clamp(min=0))
    return (place >= start) & (place <= start + side)
