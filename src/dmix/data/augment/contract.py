"""What an augmentation is: random numbers drawn ahead, and a deterministic use of them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch


class Augment(Protocol):
    """Random choices and their use are apart, so that an epoch's choices are a function of its seed alone."""

    def draw(self, n: int, size: int, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Return one row of choices per sample, (n, k), for images whose shorter side is `size`."""
        ...

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment uint8 (N, 3, H, W) by draws (N, k), into uint8 (N, 3, H, W)."""
        ...
