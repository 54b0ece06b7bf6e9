"""Mixup (Zhang et al., 2017): a convex combination of two images."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.draw import draw_lam, draw_partner
from dmix.policies.policy import Context, Draws, Mixed, Policy


@part
class Mixup(Policy):
    """x = lam * x_a + (1 - lam) * x_b with lam ~ Beta(alpha, alpha), one draw per group of rows."""

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
        """Mix each image with its partner; the label weight is the drawn lam."""
        n = len(labels)
        lam = to_device(draw_lam(draws.host, self.alpha, n, self.lam_groups), images.device)
        partner = to_device(draw_partner(draws.host, n, self.lam_groups, self.derangement), images.device)
        mask = lam.to(images.dtype).view(-1, 1, 1, 1)
        return Mixed(
            images=mask * images + (1 - mask) * images[partner],
            y_a=labels,
            y_b=labels[partner],
            lam=lam,
            mask=mask,
        )
