"""Mixup (Zhang et al., 2017): a convex combination of two images."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.draw import Floats, draw_lam, draw_partner
from dmix.policies.policy import Blend, Context, Draws, Mixed, Policy


@part
class Mixup(Policy):
    """Mix images, x = lam * x_a + (1 - lam) * x_b.

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
        """Mix each image with its partner; the label weight is the drawn lam."""
        lam = self.draw_shares(len(labels), draws)
        partner = draw_partner(draws.host, len(labels), self.derangement)
        b = to_device(partner, images.device)
        blend = self.blend(images, images[b], lam, draws, context)
        return Mixed(blend.images, labels, labels[b], blend.lam, blend.mask)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam of each row, (n,)."""
        return draw_lam(draws.host, self.alpha, n)

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Return lam * own + (1 - lam) * partner; the true weight is lam."""
        del draws, context
        share = to_device(lam, own.device)
        mask = share.to(own.dtype).view(-1, 1, 1, 1)
        return Blend(mask * own + (1 - mask) * partner, share, mask)
