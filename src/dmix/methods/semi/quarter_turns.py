"""Images turned by quarters of a circle, for a head that says by how many (Gidaris et al., 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

TURNS = 4


def turned(images: Tensor, turns: Tensor) -> Tensor:
    """Return each of the images (N, 3, S, S) turned anticlockwise by its own number of quarters.

    Parameters
    ----------
    turns: (N,) int64 in 0..3.

    Raises
    ------
    RuntimeError: the images are not square.
    """
    # All four of each and a choice: no shape depends on `turns`, which so stay on the device.
    every = torch.stack([torch.rot90(images, quarters, (2, 3)) for quarters in range(TURNS)])
    return every[turns, torch.arange(len(images), device=images.device)]
