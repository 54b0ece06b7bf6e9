"""CutMix (Yun et al., 2019): paste a box of the partner into the image."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.box import box_around, cut_ratio, paste, paste_smaller
from dmix.policies.draw import Floats, draw_lam, draw_partner
from dmix.policies.policy import Blend, Context, Draws, Mixed, Policy


@part
class CutMix(Policy):
    """Paste a box of area about 1 - lam; lam is then corrected to the true share of own pixels.

    Settings: `alpha`, lam ~ Beta(alpha, alpha); `derangement`, see `dmix.policies.draw`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.derangement = alpha, derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Paste each partner's box; lam is 1 where the box is empty."""
        n, _, height, width = images.shape
        lam = self.draw_shares(n, draws)
        boxes = to_device(self.draw_boxes(draws.host, lam, height, width), images.device)
        b = to_device(draw_partner(draws.host, n, self.derangement), images.device)
        blend = paste(images, images[b], boxes)
        return Mixed(blend.images, labels, labels[b], blend.lam, blend.mask)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam of each row before its box is clipped, (n,)."""
        return draw_lam(draws.host, self.alpha, n)

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Paste a box of the image of the smaller share into the other; see `paste_smaller`."""
        height, width = own.shape[2:]

        def paste_box(larger: Tensor, smaller: Tensor, share: Floats) -> Blend:
            boxes = self.draw_boxes(draws.host, share, height, width)
            return paste(larger, smaller, to_device(boxes, own.device))

        return paste_smaller(own, partner, lam, paste_box)

    def draw_boxes(self, rng: np.random.Generator, lam: Floats, height: int, width: int) -> Tensor:
        """Return boxes (n, 4) on the host, of area 1 - lam (n,) before clipping, with one centre."""
        centre_x, centre_y = (
            torch.from_numpy(rng.integers(side, size=1).repeat(len(lam))) for side in (width, height)
        )
        return box_around(centre_x, centre_y, cut_ratio(lam), height, width)
