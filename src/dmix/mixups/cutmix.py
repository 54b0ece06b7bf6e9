"""CutMix (Yun et al., 2019): a box of the partner is pasted into the image."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from dmix.mixups.draw import Ints, box_around, box_mask, draw_lam, draw_partner, kept_share, to_device
from dmix.mixups.policy import Context, Draws, Mixed, Policy
from dmix.part import part


@part
class CutMix(Policy):
    """Paste a box of area about 1 - lam; lam is then corrected to the true share of own pixels."""

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        lam_groups: Annotated[int, Ge(1)] = 1,
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.lam_groups, self.derangement = alpha, lam_groups, derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Paste each partner's box; lam is 1 where the box is empty."""
        n, _, height, width = images.shape
        boxes = self.draw_boxes(draws.host, n, height, width)
        partner = to_device(draw_partner(draws.host, n, self.lam_groups, self.derangement), images.device)
        mask = box_mask(to_device(boxes, images.device), height, width)
        return Mixed(
            images=torch.where(mask, images, images[partner]),
            y_a=labels,
            y_b=labels[partner],
            lam=to_device(kept_share(boxes, height, width), images.device),
            mask=mask,
        )

    def draw_boxes(self, rng: np.random.Generator, n: int, height: int, width: int) -> Ints:
        """Return boxes (n, 4): one draw of lam and of a uniform centre per group of rows."""
        lam = draw_lam(rng, self.alpha, n, self.lam_groups)
        per_group = -(-n // self.lam_groups)
        centre_x = np.repeat(rng.integers(width, size=self.lam_groups), per_group)[:n]
        centre_y = np.repeat(rng.integers(height, size=self.lam_groups), per_group)[:n]
        return box_around(centre_x, centre_y, lam, height, width)
