"""Mixed batches beside a method's clean ones: "+Mixup" and "+DM" (the paper, sections 3.2 and 4.2)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from dmix.data.send import to_device
from dmix.engine.method import Step
from dmix.methods.addons.asymmetric import asymmetric_loss, labelled_loss, labelled_share
from dmix.methods.addons.contract import MixedPairs, Pairing
from dmix.methods.addons.mix_rows import mix_rows
from dmix.methods.addons.pseudo import PseudoLabels, confident
from dmix.part import part
from dmix.policies.draw import draw_lam, draw_partner
from dmix.policies.policy import Draws


@part
class Pairs(Pairing):
    """Labelled rows mixed with a permutation of themselves, and with unlabelled rows.

    Each kind of batch has one lam per step, drawn on its own. The losses are

        w_ll * mean(MCE + eta * both decoupled terms)                          labelled with labelled
        w_lu * ramp * mean(m * (MCE + eta * the labelled class's term))        labelled with unlabelled

    Parameters
    ----------
    alpha: lam ~ Beta(alpha, alpha). eta: weight of the decoupled terms; 0 is MCE.

    Settings: `rule` and `sides` as in `dmix.methods.addons.asymmetric`, with which the paper's strategy is
    at_most_half and labelled; `unlabelled` whether unlabelled rows are read at all; `head` whether mixed rows
    have a linear head of their own (clean rows are evaluated, both are read); `w_ll`, `w_lu` and `ramp` (half
    a cosine from 0 to 1 over the run) the weights; `view` which of the unlabelled views is mixed; `threshold`
    the least confidence of a pseudo-class, 0 for any; `mce_sides` and `power` as there; `joint` whether mixed
    rows are in one batch with the clean ones, and so share their statistics; `freeze` whether the second
    kind of batch leaves running statistics alone.
    """

    def __init__(
        self,
        alpha: float,
        eta: float,
        *,
        rule: Literal["free", "at_most_half", "at_least_half"],
        sides: Literal["labelled", "both"],
        unlabelled: bool,
        head: Literal["own", "shared"],
        w_ll: Annotated[float, Ge(0)],
        w_lu: Annotated[float, Ge(0)],
        ramp: Literal["cosine", "none"],
        view: Literal["first", "second"],
        threshold: Annotated[float, Ge(0)],
        mce_sides: Literal["both", "labelled"],
        power: Annotated[float, Ge(0)],
        joint: bool,
        freeze: bool,
    ) -> None:
        super().__init__()
        self.alpha, self.eta = alpha, eta
        self.rule, self.sides, self.mce_sides, self.power = rule, sides, mce_sides, power
        self.unlabelled = unlabelled
        self.head = head
        self.w_ll, self.w_lu, self.ramp = w_ll, w_lu, ramp
        self.view = 0 if view == "first" else 1
        self.threshold = threshold
        self.joint, self.freeze = joint, freeze
        self.own = None

    def attach(self, head: nn.Linear) -> None:
        """Make the head of mixed rows, drawn as the clean one is: with the weights of that in another order.

        The order is from a generator of its own, so that all else begins as it does without mixed rows.
        """
        if self.head == "own":
            generator = torch.Generator().manual_seed(torch.initial_seed() ^ 1)
            order = torch.randperm(head.weight.numel(), generator=generator)
            self.own = copy.deepcopy(head)
            self.own.weight.data = head.weight.data.flatten()[order].view_as(head.weight)

    def mix(self, images: Tensor, y: Tensor, unlabelled: Tensor | None, draws: Draws) -> MixedPairs:
        """Mix a labelled batch with a permutation of itself and with the first unlabelled rows.

        Parameters
        ----------
        images: (B, 3, H, W) float, normalised. y: (B,) int64. unlabelled: (M, 3, H, W), or None for none.
        """
        n, device = len(y), images.device
        lam = to_device(draw_lam(draws.host, self.alpha, n, 1), device)
        partner = to_device(draw_partner(draws.host, n, 1, derangement=False), device)
        share = labelled_share(to_device(draw_lam(draws.host, self.alpha, n, 1), device), self.rule)
        mixed = [mix_rows(images, images[partner], lam)]
        if unlabelled is not None:
            share = share[: len(unlabelled)]
            mixed.append(mix_rows(images, unlabelled, share))
        return MixedPairs(tuple(mixed), y, y[partner], lam, share)

    def logits(self, features: Tensor, clean_head: nn.Linear) -> Tensor:
        """Return the logits of mixed rows, (N, C), of features (N, d)."""
        found: Tensor = (self.own or clean_head)(features)
        return found

    def losses(
        self, logits: tuple[Tensor, ...], mixed: MixedPairs, pseudo: PseudoLabels | None, step: Step
    ) -> Mapping[str, Tensor]:
        """Return `mixed_ll` and, where there are unlabelled rows, `mixed_lu`, scalars with their weights.

        Parameters
        ----------
        logits: of each of `mixed.images`. pseudo: of the unlabelled rows, (M,) with M at least B'.
        """
        found = labelled_loss(logits[0], mixed.y, mixed.partner, mixed.lam, eta=self.eta, power=self.power)
        losses = {"mixed_ll": self.w_ll * found}
        if len(logits) == 2:
            assert pseudo is not None
            n = len(mixed.share)
            found = asymmetric_loss(
                logits[1],
                mixed.y[:n],
                pseudo.classes[:n],
                mixed.share,
                eta=self.eta,
                mask=confident(pseudo.confidence[:n], self.threshold) if self.threshold else None,
                sides=self.sides,
                mce_sides=self.mce_sides,
                power=self.power,
            )
            losses["mixed_lu"] = self.w_lu * self.weight(step) * found
        return losses

    def weight(self, step: Step) -> float:
        """Return the ramp of a step, in [0, 1]."""
        return cosine_ramp(step.number, step.total) if self.ramp == "cosine" else 1.0


def cosine_ramp(step: int, total: int) -> float:
    """Return the share of a loss's weight in step `step` (from 0) of `total`: half a cosine from 0 to 1."""
    return 0.5 * (1 - math.cos(math.pi * step / total))
