"""AutoMix (Liu et al., 2022): a learned mixer generates the mixing mask."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from dmix.part import part
from dmix.policies.learned import LearnedMixing, LearnedMixingSettings
from dmix.policies.mixer import AutoMixer, Mixer

NO_BLEND = "its mixer learns from labelled pairs, by losses of its own"


@part
class AutoMix(LearnedMixing):
    """Mix by masks from attention between the features of two images, which share one embedding.

    Settings: `lam_channel`, whether the mixer gets lam as a further channel; for the others see
    `LearnedMixingSettings`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        lam_channel: bool,
        margin: Annotated[float, Interval(ge=0, le=0.5)],
        mask_loss: Literal["l1", "l1_variance"],
        mask_margin: Annotated[float, Ge(0)],
        mask_weight: Annotated[float, Ge(0)],
        mask_weight_schedule: Literal["constant", "cosine", "compounding_cosine"],
        momentum: Annotated[float, Interval(ge=0, le=1)],
        momentum_end: Annotated[float, Interval(ge=0, le=1)],
        mixer_lr: Annotated[float, Gt(0)],
        mixer_lr_end: Annotated[float, Ge(0)],
        mixer_momentum: Annotated[float, Interval(ge=0, lt=1)],
        mixer_warmup: bool = True,
        generator_loss: Literal["mce", "mbce_one", "objective"] = "mce",
        derangement: bool = False,
    ) -> None:
        super().__init__(
            LearnedMixingSettings(
                alpha=alpha,
                margin=margin,
                mask_loss=mask_loss,
                mask_margin=mask_margin,
                mask_weight=mask_weight,
                mask_weight_schedule=mask_weight_schedule,
                momentum=momentum,
                momentum_end=momentum_end,
                mixer_lr=mixer_lr,
                mixer_lr_end=mixer_lr_end,
                mixer_momentum=mixer_momentum,
                mixer_warmup=mixer_warmup,
                mask_adjust=0.0,
                generator_loss=generator_loss,
                derangement=derangement,
            )
        )
        self.lam_channel = lam_channel

    def make_mixer(self, channels: int) -> Mixer:
        """Return AutoMix's mixer."""
        return AutoMixer(channels, lam_channel=self.lam_channel)
