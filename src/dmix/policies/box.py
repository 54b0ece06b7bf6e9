"""Boxes of pixels: their place, the share of the image outside them, and pasting into them.

A box is a row x0, y0, x1, y1 of an (n, 4) int64 tensor, ends excluded. All functions run on its device.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dmix.data.send import to_device
from dmix.policies.draw import Floats
from dmix.policies.policy import Blend


def cut_ratio(lam: Floats) -> Tensor:
    """Return the sides of boxes of area 1 - lam, as shares of the image's sides, (n,) float64."""
    return torch.from_numpy(np.sqrt(1.0 - lam.astype(np.float64)))


def box_around(centre_x: Tensor, centre_y: Tensor, ratio: Tensor, height: int, width: int) -> Tensor:
    """Return boxes (n, 4) around pixels, clipped at the image's borders (CutMix).

    Parameters
    ----------
    centre_x, centre_y: (n,) int64.
    ratio: (n,) float64, sides of the box as shares of the image's; a side has 2 * (floor(side * ratio) // 2)
        pixels before clipping.
    """
    half_w = (width * ratio).long() // 2
    half_h = (height * ratio).long() // 2
    return torch.stack(
        [
            (centre_x - half_w).clamp(0, width),
            (centre_y - half_h).clamp(0, height),
            (centre_x + half_w).clamp(0, width),
            (centre_y + half_h).clamp(0, height),
        ],
        dim=1,
    )


def box_within(centre_x: Tensor, centre_y: Tensor, ratio: Tensor, height: int, width: int) -> Tensor:
    """Return boxes (n, 4) of floor(side * ratio) pixels a side, shifted to lie inside the image.

    The parameters are those of `box_around`.
    """
    box_w = (width * ratio).long()
    box_h = (height * ratio).long()
    x0 = torch.minimum((centre_x - box_w // 2).clamp(min=0), width - box_w)
    y0 = torch.minimum((centre_y - box_h // 2).clamp(min=0), height - box_h)
    return torch.stack([x0, y0, x0 + box_w, y0 + box_h], dim=1)


def kept_share(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return the exact share of pixels outside each box, (n,) float32."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return (1 - area.double() / (height * width)).float()


def box_mask(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return (n, 1, height, width) bool, True outside the box, where the own image is kept."""
    x0, y0, x1, y1 = (side.view(-1, 1, 1, 1) for side in boxes.unbind(1))
    rows = torch.arange(height, device=boxes.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=boxes.device).view(1, 1, 1, -1)
    return ~((rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1))


def paste(images: Tensor, source: Tensor, boxes: Tensor) -> Blend:
    """Return `images` with the pixels of `source`, (N, 3, H, W) too, inside the boxes.

    lam is the exact share of the pixels of `images`; it is 1 where the box is empty.
    """
    height, width = images.shape[2:]
    mask = box_mask(boxes, height, width)
    return Blend(torch.where(mask, images, source), kept_share(boxes, height, width), mask)


def paste_smaller(
    own: Tensor, partner: Tensor, lam: Floats, paste_into: Callable[[Tensor, Tensor, Floats], Blend]
) -> Blend:
    """Paste, in each row, the image of the smaller share into the other one.

    Clipping at a border and rounding to whole pixels only make a box smaller. Pasted in this order, the true
    weight of the own image is therefore on the same side of 1/2 as `lam`.

    Parameters
    ----------
    own, partner: (N, 3, H, W). lam: (N,), wanted weight of the own image.
    paste_into: (images of the larger share, images of the smaller share, the larger share (N,), at least 1/2)
        -> blend with the former as own images; its mask is bool.
    """
    exchanged = to_device(lam <= 0.5, own.device)
    rows = exchanged.view(-1, 1, 1, 1)
    larger, smaller = torch.where(rows, partner, own), torch.where(rows, own, partner)
    found = paste_into(larger, smaller, np.maximum(lam, 1 - lam))
    return Blend(found.images, torch.where(exchanged, 1 - found.lam, found.lam), found.mask ^ rows)
