"""MixMatch (Berthelot et al., 2019), optionally with decoupled terms for its own mixed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients, Step
from dmix.errors import DmixError
from dmix.methods.addons.contract import Addon
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.semi.interleave import dealt_out
from dmix.methods.semi.method import SemiMethod
from dmix.methods.semi.mixed_rows import mix_at_random
from dmix.methods.semi.ramps import linear
from dmix.methods.semi.row_losses import masked_ce, squared_error
from dmix.methods.semi.targets import certain, guess, sharpen
from dmix.part import part
from dmix.policies.mixup import Mixup


@part
class MixMatch(SemiMethod):
    """Mix labelled rows and two views of unlabelled rows with each other, images and targets.

    As in TorchSSL there is one lam for the batch, and only one interleaved group of rows updates the running
    statistics.

    Settings: `temperature`, at which the mean distribution of both views is sharpened to the target of
    unlabelled rows; `alpha` of lam = max(l, 1 - l), l ~ Beta(alpha, alpha); `weight` of the squared error of
    unlabelled rows; `ramp`, fraction of the run in which it grows linearly from 0; `dm`, what an add-on adds:
    "kinds", its objective's decoupled terms for MixMatch's own rows (`decoupled_by_kinds`), where only its
    settings w_ll, w_lu and unlabelled are used, and terms of unlabelled rows have the same ramp; "batches",
    its own mixed batches, each in a forward pass of its own.

    Raises
    ------
    DmixError: `dm` is "kinds" and the add-on's policy is not Mixup.
    """

    unlabelled = ("augment", "augment")
    takes_addon = True

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        temperature: Annotated[float, Gt(0)],
        alpha: Annotated[float, Gt(0)],
        weight: Annotated[float, Ge(0)],
        ramp: Annotated[float, Ge(0), Le(1)],
        dm: Literal["kinds", "batches"] = "kinds",
    ) -> None:
        addon: Addon | None = ingredients.addon
        by_kinds = addon is not None and dm == "kinds"
        if by_kinds and not isinstance(ingredients.policy, Mixup):
            raise DmixError(
                "MixMatch mixes its rows by Mixup; with dm: kinds an add-on's policy is never called, and "
                f"{type(ingredients.policy).__name__} would not be what the run's name says",
                "choose an add-on whose policy is mixup, or set method.dm to batches, in params.yaml",
            )
        # With "kinds", MixMatch's own rows are the only mixed ones, so there is no head of an add-on.
        super().__init__(replace(ingredients, addon=None) if by_kinds else ingredients)
        self.temperature, self.alpha, self.weight, self.ramp = temperature, alpha, weight, ramp
        self.by_kinds = addon.class_terms if addon is not None and by_kinds else None
        self.w_ll = addon.w_ll if addon is not None else 0.0
        self.w_lu = addon.w_lu * addon.unlabelled if addon is not None else 0.0

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce` and `squared`; with an add-on also `decoupled_ll` and `decoupled_lu`, or its own."""
        assert batch.unlabelled is not None
        views, y = batch.unlabelled.images, batch.labelled.labels
        p = guess([self.look(view) for view in views])
        q = sharpen(p, self.temperature)
        images = torch.cat([batch.labelled.images[0], *views])
        mixed = mix_at_random(images, torch.cat([certain(y, q), q, q]), self.alpha, step.draws)
        logits = self.head(dealt_out(self.encoder, mixed.images, len(y)))
        ramp = linear(step.number, self.ramp * step.total)
        ce, squared = mixmatch_losses(logits, mixed.targets, len(y))
        losses = {"ce": ce, "squared": self.weight * ramp * squared}
        if self.by_kinds is not None:
            classes = torch.cat([y, *[q.argmax(1)] * len(views)])
            terms = self.by_kinds(logits, classes, classes[mixed.partner], mixed.lam)
            if terms.decoupled is None:
                raise DmixError(
                    "with dm: kinds MixMatch adds the decoupled terms of an objective, and this one has none",
                    "choose an add-on whose objective is dm_ce, or set method.dm to batches, in params.yaml",
                )
            ll, lu = decoupled_by_kinds(terms.decoupled, mixed.partner, len(y))
            losses["decoupled_ll"] = terms.weight * self.w_ll * ll
            losses["decoupled_lu"] = terms.weight * self.w_lu * ramp * lu
        confidence, classes = p.max(1)
        pseudo = PseudoLabels(classes, confidence)
        return {**losses, **self.mixed_losses(self.mixed(batch, step), (), pseudo, step)}


def mixmatch_losses(logits: Tensor, targets: Tensor, labelled: int) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of the first `labelled` rows and the squared error of the others, as scalars.

    Parameters
    ----------
    logits: (N, C). targets: (N, C) float, mixed distributions.
    """
    return masked_ce(logits[:labelled], targets[:labelled]), squared_error(
        logits[labelled:], targets[labelled:]
    )


def decoupled_by_kinds(decoupled: Tensor, partner: Tensor, labelled: int) -> tuple[Tensor, Tensor]:
    """Return the mean decoupled terms of the labelled rows and of the unlabelled ones, as scalars.

    A row counts if its partner is labelled: a labelled row with both terms, an unlabelled one with its
    partner's only. The latter is the asymmetrical strategy (the paper, section 3.2), because the weight of the
    partner is at most 1/2. A labelled row with an unlabelled partner would be its opposite, and two unlabelled
    rows have no label. The means are over all labelled, or all unlabelled, rows.

    Parameters
    ----------
    decoupled: (N, 2), terms of the own class and of the partner's; the first `labelled` rows are labelled.
    partner: (N,) int64.
    """
    terms = decoupled * (partner < labelled).to(decoupled.dtype).unsqueeze(1)
    return terms[:labelled].sum(1).mean(), terms[labelled:, 1].mean()
