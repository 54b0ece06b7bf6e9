"""CutMix (Yun et al., 2019): a box of the partner is pasted into the image."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.box import box_around, cut_ratio, paste
from dmix.policies.draw import draw_lam, draw_partner, group_of_row
from dmix.policies.policy import Context, Draws, Mixed, Policy


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
        boxes = to_device(self.draw_boxes(draws.host, n, height, width), images.device)
        partner = to_device(draw_partner(draws.host, n, self.lam_groups, self.derangement), images.device)
        return paste(images, images[partner], labels, labels[partner], boxes)

    def draw_boxes(self, rng: np.random.Generator, n: int, height: int, width: int) -> Tensor:
        """Return boxes (n, 4) on the host: one draw of lam and of a uniform centre per group of rows."""
        lam = draw_lam(rng, self.alpha, n, self.lam_groups)
        group = group_of_row(n, self.lam_groups)
        centre_x = torch.from_numpy(rng.integers(width, size=self.lam_groups)[group])
        centre_y = torch.from_numpy(rng.integers(height, size=self.lam_groups)[group])
        return box_around(centre_x, centre_y, cut_ratio(lam), height, width)
