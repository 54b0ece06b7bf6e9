"""Mixed pairs of images in addition to clean ones: "+Mixup" and "+DM" (the paper, sections 3.2 and 4.2)."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor, nn

from dmix.engine.method import Step
from dmix.methods.addons.asymmetric import Sides, labelled_share, losses_of
from dmix.methods.addons.contract import Addon, MixedBatches
from dmix.methods.addons.pseudo import PseudoLabels, confident
from dmix.objectives.objective import ByClass, Objective
from dmix.part import part
from dmix.policies.policy import Context, Draws, Policy


@part
class Pairs(Addon):
    """Add losses of labelled rows mixed with each other, and with unlabelled rows.

    The policy mixes the two batches with separate draws. If the objective is MCE + eta * (both decoupled
    terms), the losses under the paper's strategy are

        w_ll * mean(objective)                                                 labelled with labelled
        w_lu * ramp * mean(m * (MCE + eta * the labelled class's term))        labelled with unlabelled

    where m is whether the pseudo-class's confidence reaches `threshold`.

    Parameters
    ----------
    policy: one that can `blend`. objective, class_terms: the run's objective, and its terms by class.

    Settings: `rule`, `sides`, `mce_sides` and `power`, see `dmix.methods.addons.asymmetric` (the paper's
    strategy is at_most_half and labelled); `unlabelled`, whether unlabelled rows are mixed at all; `head`,
    whether mixed rows have their own linear head (both heads are evaluated, tables report the clean one);
    `w_ll`, `w_lu` and `ramp` (half a cosine from 0 to 1 over the run, or none), the weights; `view`, the
    unlabelled view that is mixed; `threshold`, minimum confidence of a pseudo-class, 0 for any; `joint`,
    whether mixed rows share the clean ones' forward pass and so their statistics; `freeze`, whether
    labelled-unlabelled rows, in a pass of their own and normalised by their own statistics, do not update
    running ones (released code's switch normalises by the running ones instead).
    """

    def __init__(
        self,
        policy: Policy,
        objective: Objective,
        class_terms: ByClass,
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
        self.policy, self.objective, self.class_terms = policy, objective, class_terms
        self.rule, self.sides, self.mce_sides, self.power = rule, sides, mce_sides, power
        self.unlabelled = unlabelled
        self.head = head
        self.w_ll, self.w_lu, self.ramp = w_ll, w_lu, ramp
        self.view = 0 if view == "first" else 1
        self.threshold = threshold
        self.joint, self.freeze = joint, freeze
        self.own = None

    def attach(self, head: nn.Linear) -> None:
        """Make the head of mixed rows: a copy of the clean one with permuted weights, so equally distributed.

        The permutation has its own generator, so that all other initial weights are as without the add-on.
        """
        if self.head == "own":
            generator = torch.Generator().manual_seed(torch.initial_seed() ^ 1)
            order = torch.randperm(head.weight.numel(), generator=generator)
            self.own = copy.deepcopy(head)
            self.own.weight.data = head.weight.data.flatten()[order].view_as(head.weight)

    def mix(
        self, images: Tensor, y: Tensor, unlabelled: Tensor | None, draws: Draws, context: Context
    ) -> MixedBatches:
        """Mix a labelled batch with a permutation of itself and with the first unlabelled rows.

        Parameters
        ----------
        images: (B, 3, H, W) float, normalised. y: (B,) int64. unlabelled: (M, 3, H, W) or None.
        """
        own = self.policy.mix(images, y, draws, context)
        share = labelled_share(self.policy.draw_shares(len(y), draws), self.rule)
        if unlabelled is None:
            return MixedBatches((own.images,), own.y_a, own.y_b, own.lam, own.lam[:0])
        n = min(len(y), len(unlabelled))
        others = self.policy.blend(images[:n], unlabelled[:n], share[:n], draws, context)
        return MixedBatches((own.images, others.images), own.y_a, own.y_b, own.lam, others.lam)

    def logits(self, features: Tensor, clean_head: nn.Linear) -> Tensor:
        """Return the logits (N, C) of mixed rows from their features (N, d)."""
        found: Tensor = (self.own or clean_head)(features)
        return found

    def losses(
        self, logits: tuple[Tensor, ...], mixed: MixedBatches, pseudo: PseudoLabels | None, step: Step
    ) -> Mapping[str, Tensor]:
        """Return `mixed_ll` and, if there are unlabelled rows, `mixed_lu`: scalars, weights included.

        Parameters
        ----------
        logits: of each of `mixed.images`. pseudo: of the unlabelled rows, (M,) with M at least B'.
        """
        rows = self._rows(logits[0], mixed.y, mixed.partner, mixed.lam, sides="both", mce_sides="both")
        losses = {"mixed_ll": self.w_ll * rows.mean()}
        if len(logits) == 2:
            assert pseudo is not None
            n = len(mixed.share)
            rows = self._rows(
                logits[1],
                mixed.y[:n],
                pseudo.classes[:n],
                mixed.share,
                sides=self.sides,
                mce_sides=self.mce_sides,
            )
            if self.threshold:
                # Rows below the threshold count in the mean, as zeros.
                rows = rows * confident(pseudo.confidence[:n], self.threshold)
            losses["mixed_lu"] = self.w_lu * self.weight(step) * rows.mean()
        return losses

    def weight(self, step: Step) -> float:
        """Return the ramp of a step, in [0, 1]."""
        return cosine_ramp(step.number, step.total) if self.ramp == "cosine" else 1.0

    def _rows(
        self, logits: Tensor, y: Tensor, other: Tensor, lam: Tensor, *, sides: Sides, mce_sides: Sides
    ) -> Tensor:
        """Return the loss of every row, (N,): the objective, or the terms of it that are selected."""
        if sides == "both" and mce_sides == "both" and not self.power:
            return self.objective(logits, y, other, lam)
        terms = self.class_terms(logits, y, other, lam)
        return losses_of(terms, lam, sides=sides, mce_sides=mce_sides, power=self.power)


def cosine_ramp(step: int, total: int) -> float:
    """Return the factor of a loss's weight in step `step` (from 0) of `total`: half a cosine from 0 to 1."""
    return 0.5 * (1 - math.cos(math.pi * step / total))
