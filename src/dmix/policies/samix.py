"""SAMix (Li et al., 2021): AutoMix with another mixer, whose features are scaled by lam."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from dmix.errors import DmixError
from dmix.part import part
from dmix.policies.learned import LearnedMixing, LearnedMixingSettings
from dmix.policies.mixer import Mixer, SAMixer

NO_BLEND = "its mixer learns from labelled pairs, by losses of its own"


@part
class SAMix(LearnedMixing):
    """Mix by masks from attention between two embeddings of both images' features, scaled by lam.

    SAMix's paper weighs two terms of the mixer's loss by 0.5; in its released code these weights have no
    effect on the plain cross-entropy, which is used here.

    Settings: `lam_residual`, the k of r_k(lam), -1 for lam itself (`dmix.policies.mixer.rescale`); `dropout`,
    the probability of dropping a position's value; for the others see `LearnedMixingSettings`.

    Raises
    ------
    DmixError: lam_residual is between -1 and 0, where r_k(lam) decreases somewhere or has a pole.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        lam_residual: Annotated[float, Ge(-1)],
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
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        mask_adjust: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        mixer_warmup: bool = True,
        generator_loss: Literal["mce", "mbce_one", "objective"] = "mce",
        derangement: bool = False,
    ) -> None:
        if -1 < lam_residual < 0:
            raise DmixError(f"policy.lam_residual: {lam_residual} is neither -1 nor 0 or above")
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
                mask_adjust=mask_adjust,
                generator_loss=generator_loss,
                derangement=derangement,
            )
        )
        self.lam_residual = lam_residual
        self.dropout = dropout

    def make_mixer(self, channels: int) -> Mixer:
        """Return SAMix's mixer."""
        return SAMixer(channels, residual=self.lam_residual, dropout=self.dropout)
