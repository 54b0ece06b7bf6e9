"""The training step that AutoMix and SAMix share: a mixer is trained along with the network.

The network (f_q) has a head for mixed images and, here, one for clean images. A momentum copy of all of it
(f_k) computes the features that masks are generated from, and the loss of images mixed with these masks. The
mixer is trained through f_k, whose weights no gradient changes; the network is trained on images whose masks
are constants:

    losses generator and mask -> mixer        loss one, and the objective on mixed images -> f_q and its heads

Source: AutoMix (Liu et al., 2022, section 4) and the code released with it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.parameter_group import ParameterGroup
from dmix.data.send import to_device
from dmix.errors import DmixError
from dmix.objectives.mbce_one import mbce_one
from dmix.objectives.mce import mce
from dmix.objectives.objective import Objective
from dmix.policies.draw import Ints, draw_lam, draw_partner
from dmix.policies.mask_loss import MASK_LOSSES, adjust_mean, weight_at
from dmix.policies.mixer import Mixer
from dmix.policies.momentum import frozen_copy, momentum_at, update_average
from dmix.policies.policy import Context, Draws, Mixed, Policy

GENERATOR_LOSSES: Mapping[str, Objective] = {
    "mce": mce,
    "mbce_one": partial(mbce_one, reduction="sum_classes"),
}


@dataclass(frozen=True, kw_only=True)
class LearnedMixingSettings:
    """Settings that AutoMix and SAMix share.

    Attributes
    ----------
    alpha: lam ~ Beta(alpha, alpha), one for the mixer's batch and one for the network's.
    margin: the network gets plain Mixup if min(lam, 1 - lam) is at most this.
    mask_loss, mask_margin: the loss that keeps the mask's mean near lam, and the deviation it tolerates.
    mask_weight, mask_weight_schedule: initial weight of the mask loss, and how it decays, see `weight_at`.
    momentum, momentum_end: of the momentum copies, see `momentum_at`.
    mixer_lr, mixer_lr_end, mixer_momentum: for the mixer's parameters, instead of the recipe's.
    mixer_warmup: whether the recipe's warm-up applies to the mixer's learning rate.
    mask_adjust: probability that a batch's masks for the network are rescaled to a mean of exactly lam.
    generator_loss: loss of the momentum copy on mixed images: mce, mbce_one (for networks trained with binary
        objectives) or the run's objective.
    derangement: redraw partners while a row is its own (for small batches).
    """

    alpha: float
    margin: float
    mask_loss: Literal["l1", "l1_variance"]
    mask_margin: float
    mask_weight: float
    mask_weight_schedule: Literal["constant", "cosine", "compounding_cosine"]
    momentum: float
    momentum_end: float
    mixer_lr: float
    mixer_lr_end: float
    mixer_momentum: float
    mixer_warmup: bool
    mask_adjust: float
    generator_loss: Literal["mce", "mbce_one", "objective"]
    derangement: bool


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch: row i is mixed with row partner[i], all with one lam."""

    lam: float
    partner: Tensor  # (N,) int64

    def rows(self) -> Tensor:
        """Return lam for every row, (N,) float32."""
        return torch.full(self.partner.shape, self.lam, dtype=torch.float32, device=self.partner.device)

    def blend(self, images: Tensor, mask: Tensor) -> Tensor:
        """Return mask * x + (1 - mask) * x[partner] in the images' dtype; the mask is (N or 1, 1, H, W)."""
        weight = mask.to(images.dtype)
        return weight * images + (1 - weight) * images[self.partner]


class LearnedMixing(Policy):
    """Base class of policies with a learned mixer. Subclasses write `make_mixer`."""

    mixer: Mixer
    one_head: nn.Module
    momentum_model: Backbone
    momentum_one_head: nn.Module

    def __init__(self, settings: LearnedMixingSettings) -> None:
        super().__init__()
        self.settings = settings

    def make_mixer(self, channels: int) -> Mixer:
        """Return a new mixer for feature maps with this number of channels."""
        raise NotImplementedError(type(self).__name__)

    def attach(self, model: Backbone) -> None:
        """Make the head for clean images, the momentum copies and the mixer; they are drawn in this order.

        The model's own head is for mixed images. The second one is drawn from the same distribution.

        Raises
        ------
        DmixError: the network has a single stage; the mixer's input is the output of the last but one.
        """
        if len(model.channels) < 2:
            raise DmixError(
                f"{type(self).__name__} mixes by the features of the stage before the last, "
                "but the backbone has one stage",
                "give backbone.layers two numbers or more",
            )
        self.one_head = shuffled_copy(model.head)
        self.momentum_model = frozen_copy(model)
        self.momentum_one_head = frozen_copy(self.one_head)
        self.mixer = self.make_mixer(model.channels[-2])

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix by the mixer's masks, as constants; the losses train the mixer and the head for clean images.

        The label weight is the drawn lam, not the mean of the mask. The mixer runs first on the pairs that
        train it, then on those that train the network; this order matters to its batch norms and dropout.
        """
        size = (images.shape[-2], images.shape[-1])
        for_mixer, for_network, adjust = self.draw(draws.host, len(labels), images.device)
        with torch.no_grad():
            # All stages run, so that the last one's batch norms see clean images too.
            features = self.momentum_model.as_map(self.momentum_model.features(images)[-2])
        of_partner = self.mixer(features, for_mixer.partner, for_mixer.lam, size)
        losses = {
            "one": self.loss_on_clean(images, labels, context),
            "generator": self.loss_of_momentum_model(images, labels, for_mixer, 1 - of_partner, context),
            "mask": self.loss_on_mask(of_partner, for_mixer.lam, context),
        }
        with torch.no_grad():
            mask = self.network_mask(features, for_network, adjust, size)
        return Mixed(
            images=for_network.blend(images, mask),
            y_a=labels,
            y_b=labels[for_network.partner],
            lam=for_network.rows(),
            mask=mask,
            losses=losses,
        )

    def predict(self, model: Backbone, images: Tensor) -> Mapping[str, Tensor]:
        """Return logits of momentum copy (k) and network (q), each from its heads for mixed and clean images.

        Tables report the first, a choice made beforehand: the best of the four would be biased upwards.
        """
        k = self.momentum_model.features(images)[-1]
        q = model.features(images)[-1]
        return {
            "k_mix": self.momentum_model.head(k),
            "k_one": self.momentum_one_head(k),
            "q_mix": model.head(q),
            "q_one": self.one_head(q),
        }

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the mixer's parameters with their own learning rate, warm-up and momentum."""
        settings = {
            "lr": self.settings.mixer_lr,
            "lr_end": self.settings.mixer_lr_end,
            "momentum": self.settings.mixer_momentum,
            **({} if self.settings.mixer_warmup else {"warmup_epochs": 0}),
        }
        return [ParameterGroup(tuple(self.mixer.parameters()), settings)]

    def after_step(self, context: Context) -> None:
        """Update the momentum copies; their batch norms keep their own statistics."""
        momentum = momentum_at(
            context.step, context.total_steps, self.settings.momentum, self.settings.momentum_end
        )
        update_average(self.momentum_model, context.model, momentum)
        update_average(self.momentum_one_head, self.one_head, momentum)

    def draw(self, rng: np.random.Generator, n: int, device: torch.device) -> tuple[Pairs, Pairs, bool]:
        """Return the pairs that train the mixer, those that train the network, and whether to adjust masks.

        The order of draws is: lam of the mixer's pairs, lam of the network's, partners of the mixer's pairs,
        partners of the network's, and one uniform number for the adjustment, even if its probability is 0.
        """
        lams = [float(draw_lam(rng, self.settings.alpha, 1)[0]) for _ in range(2)]
        partners = [
            draw_mixer_partner(rng, n, self.settings.derangement),
            draw_partner(rng, n, self.settings.derangement),
        ]
        for_mixer, for_network = (
            Pairs(lam, to_device(partner, device)) for lam, partner in zip(lams, partners, strict=True)
        )
        return for_mixer, for_network, bool(rng.random() < self.settings.mask_adjust)

    def network_mask(self, features: Tensor, pairs: Pairs, adjust: bool, size: tuple[int, int]) -> Tensor:
        """Return the weight of the own pixels, (N or 1, 1, H, W), for the images that train the network.

        It is lam itself, without the mixer, if min(lam, 1 - lam) is at most `margin`.
        """
        if min(pairs.lam, 1 - pairs.lam) <= self.settings.margin:
            return torch.full((1, 1, *size), pairs.lam, dtype=torch.float32, device=features.device)
        mask = 1 - self.mixer(features, pairs.partner, pairs.lam, size)
        return adjust_mean(mask, pairs.lam) if adjust else mask

    def loss_on_clean(self, images: Tensor, labels: Tensor, context: Context) -> Tensor:
        """Return the network's mean objective on clean images, with the head for them, a scalar."""
        logits = self.one_head(context.model.features(images)[-1])
        return context.objective(logits, labels, labels, torch.ones_like(labels, dtype=torch.float32)).mean()

    def loss_of_momentum_model(
        self, images: Tensor, labels: Tensor, pairs: Pairs, mask: Tensor, context: Context
    ) -> Tensor:
        """Return the momentum copy's mean loss on images mixed by `mask` (N, 1, H, W), a scalar.

        Its weights are frozen, but the gradient passes through it to the mask.
        """
        objective = GENERATOR_LOSSES.get(self.settings.generator_loss, context.objective)
        logits = self.momentum_model(pairs.blend(images, mask))
        return objective(logits, labels, labels[pairs.partner], pairs.rows()).mean()

    def loss_on_mask(self, of_partner: Tensor, lam: float, context: Context) -> Tensor:
        """Return the weighted mask loss of the partner's pixel weights (N, 1, H, W), a scalar."""
        settings = self.settings
        weight = weight_at(
            context.step, context.total_steps, settings.mask_weight, settings.mask_weight_schedule
        )
        return weight * MASK_LOSSES[settings.mask_loss](of_partner, lam, settings.mask_margin)


def draw_mixer_partner(rng: np.random.Generator, n: int, derangement: bool) -> Ints:
    """Return the permutation of `draw_partner`, (n,) int64, or a cyclic shift if its redraws fail.

    A row mixed with itself does not train the mixer. So with `derangement`, a permutation that still has such
    a row is replaced by a random cyclic shift (AutoMix's released code).
    """
    partner = draw_partner(rng, n, derangement)
    if derangement and n > 1 and (partner == np.arange(n)).any():
        return np.roll(np.arange(n), rng.integers(1, n))
    return partner


def shuffled_copy(module: nn.Module) -> nn.Module:
    """Return a copy of `module` with the entries of each parameter permuted.

    Layers draw the entries of a parameter independently, so the copy has the same distribution, whichever
    the network's rule is (with pre-trained weights: N(0, 0.01^2)), and constants such as a bias of 0 stay.
    Draws from torch's global generator.
    """
    duplicate = copy.deepcopy(module)
    for parameter in duplicate.parameters():
        order = torch.randperm(parameter.numel())
        parameter.data = parameter.data.flatten()[order].view_as(parameter)
    return duplicate
