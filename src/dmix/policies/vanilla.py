"""The baseline without mixing."""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.part import part
from dmix.policies.policy import Context, Draws, Mixed, Policy

NO_BLEND = "it mixes nothing"


@part
class Vanilla(Policy):
    """Leave images and labels unmixed."""

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Return the batch unmixed, with lam = 1."""
        lam = torch.ones(labels.shape, device=images.device)
        return Mixed(images, labels, labels, lam)
