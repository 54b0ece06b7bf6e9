"""MixMatch (Berthelot et al., 2019), and with decoupled terms by the kinds of what its rows are mixed of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from dmix.data.loading.two_streams import Pair
from dmix.engine.method import Ingredients, Step
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.semi.dealt_out import dealt_out
from dmix.methods.semi.host import SemiHost
from dmix.methods.semi.kinds import decoupled_by_kinds
from dmix.methods.semi.mixed_rows import mix_at_random
from dmix.methods.semi.ramps import linear
from dmix.methods.semi.row_losses import masked_ce, squared_error
from dmix.methods.semi.targets import certain, guess, sharpen
from dmix.part import part


@part
class MixMatch(SemiHost):
    """Mix labelled rows and two views of unlabelled ones with each other; targets are mixed alike.

    As in TorchSSL there is one lam for the batch, and the running statistics are moved by one group of rows
    alone, in which there are all kinds.

    Settings: `temperature` at which both views' mean distribution is sharpened to the target of unlabelled
    rows; `alpha` of lam = max(l, 1 - l), l ~ Beta(alpha, alpha); `weight` of the squared error of unlabelled
    rows; `ramp` the share of the run in which it grows from 0, linearly; `dm` what a pairing adds, if any.
    With "kinds" these are decoupled terms of MixMatch's own rows, by the kinds of what they are mixed of: of
    the pairing eta, w_ll, w_lu and unlabelled count, and the terms of unlabelled rows have this ramp. With
    "batches" they are the pairing's own mixed batches, each in a pass by itself.
    """

    unlabelled = ("augment", "augment")
    takes_pairs = True

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
        pairing = ingredients.pairing
        self_mixed = pairing is not None and dm == "kinds"
        # By kinds, there are no mixed rows beside MixMatch's own, so no head for them either.
        super().__init__(replace(ingredients, pairing=None) if self_mixed else ingredients)
        self.temperature, self.alpha, self.weight, self.ramp = temperature, alpha, weight, ramp
        self.eta_ll = pairing.eta * pairing.w_ll if self_mixed else 0.0
        self.eta_lu = pairing.eta * pairing.w_lu * pairing.unlabelled if self_mixed else 0.0

    def losses(self, batch: Pair, step: Step) -> Mapping[str, Tensor]:
        """Return `ce` and `squared`; with a pairing also `decoupled_ll` and `decoupled_lu`, or its own."""
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
        if self.eta_ll or self.eta_lu:
            classes = torch.cat([y, *[q.argmax(1)] * len(views)])
            terms = decoupled_by_kinds(logits, classes, mixed.partner, mixed.lam, len(y))
            losses |= {"decoupled_ll": self.eta_ll * terms[0], "decoupled_lu": self.eta_lu * ramp * terms[1]}
        confidence, classes = p.max(1)
        pseudo = PseudoLabels(classes, confidence)
        return {**losses, **self.mixed_losses(self.mixed(batch, step), (), pseudo, step)}


def mixmatch_losses(logits: Tensor, targets: Tensor, labelled: int) -> tuple[Tensor, Tensor]:
    """Return the cross-entropy of the first `labelled` rows and the squared error of the others, two scalars.

    Parameters
    ----------
    logits: (N, C). targets: (N, C) float, mixed distributions.
    """
    return masked_ce(logits[:labelled], targets[:labelled]), squared_error(
        logits[labelled:], targets[labelled:]
    )
