"""Mixup or CutMix, drawn for each batch, as in the DeiT and RSB training recipes."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Interval
from torch import Tensor

from dmix.part import part
from dmix.policies.cutmix import CutMix
from dmix.policies.mixup import Mixup
from dmix.policies.policy import Context, Draws, Mixed, Policy

NO_BLEND = "it draws one of two policies for each batch; choose one of them"


@part
class MixupCutMix(Policy):
    """Mix each batch by CutMix with probability `cutmix_share`, else by Mixup.

    Settings: `mixup_alpha` and `cutmix_alpha`, the `alpha` of each; `derangement` of both.
    """

    def __init__(
        self,
        *,
        mixup_alpha: Annotated[float, Gt(0)],
        cutmix_alpha: Annotated[float, Gt(0)],
        cutmix_share: Annotated[float, Interval(ge=0, le=1)] = 0.5,
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.mixup = Mixup(alpha=mixup_alpha, derangement=derangement)
        self.cutmix = CutMix(alpha=cutmix_alpha, derangement=derangement)
        self.cutmix_share = cutmix_share

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix by the policy drawn for this batch."""
        drawn = self.cutmix if draws.host.random() < self.cutmix_share else self.mixup
        return drawn.mix(images, labels, draws, context)
