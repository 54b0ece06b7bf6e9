"""Rotation of images by multiples of 90 degrees, for rotation prediction (Gidaris et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

TURNS = 4


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Return each of the images (N, 3, S, S) rotated anticlockwise by its own multiple of 90 degrees.

    Parameters
    ----------
    turns: (N,) int64 in 0..3, the multiples.

    Raises
    ------
    RuntimeError: the images are not square.
    """
    # All four are computed and indexed, so that no shape depends on `turns`, which stays on the device.
    every = torch.stack([torch.rot90(images, quarters, (2, 3)) for quarters in range(TURNS)])
    return every[turns, torch.arange(len(images), device=images.device)]
