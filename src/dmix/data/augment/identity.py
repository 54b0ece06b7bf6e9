"""No augmentation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from dmix.part import part


@part
class Identity:
    """Leave images as they are."""

    def draw(self, n: int, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.int16]:
        """Return int16 (n, 0) and leave `rng` untouched."""
        del shape, rng
        return np.empty((n, 0), np.int16)

    def apply(self, images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Return `images`."""
        del draws
        return images
