"""The contract of add-ons to two-stream methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dmix.engine.method import Step
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.objectives.objective import ByClass
from dmix.policies.policy import Context, Draws, Policy


@dataclass(frozen=True)
class MixedBatches:
    """The mixed batches of a step; they do not depend on pseudo-classes.

    Attributes
    ----------
    images: (B, 3, H, W), labelled rows mixed with labelled ones; then, if there are unlabelled rows,
        (B', 3, H, W), labelled rows mixed with unlabelled ones, where B' is the size of the smaller batch.
    y, partner: (B,) int64, labels of the rows and of their labelled partners.
    lam, share: (B,) and (B',) float32, true weights of y in the first and in the second batch.
    """

    images: tuple[Tensor, ...]
    y: Tensor
    partner: Tensor
    lam: Tensor
    share: Tensor


class Addon(nn.Module):
    """Base class of add-ons: batches mixed by the run's policy, with losses of the run's objective.

    Attributes
    ----------
    policy: mixes the rows. class_terms: the objective's terms by class.
    w_ll, w_lu: loss weights of labelled-labelled and labelled-unlabelled mixed rows.
    unlabelled: whether unlabelled rows are mixed. view: index of the view of theirs that is.
    joint: whether mixed rows share a forward pass with the clean ones.
    freeze: whether labelled-unlabelled rows, in a pass of their own, do not update running statistics.
    own: the classifier of mixed rows; None if they share the clean one.
    """

    policy: Policy
    class_terms: ByClass
    w_ll: float
    w_lu: float
    unlabelled: bool
    view: int
    joint: bool
    freeze: bool
    own: nn.Linear | None

    def attach(self, head: nn.Linear) -> None:
        """Make the modules that depend on the clean classifier `head`. Called once."""
        raise NotImplementedError(type(self).__name__)

    def mix(
        self, images: Tensor, y: Tensor, unlabelled: Tensor | None, draws: Draws, context: Context
    ) -> MixedBatches:
        """Mix a labelled batch with a permutation of itself and with the first unlabelled rows.

        Parameters
        ----------
        images: (B, 3, H, W) float, normalised. y: (B,) int64. unlabelled: (M, 3, H, W) or None.
        """
        raise NotImplementedError(type(self).__name__)

    def logits(self, features: Tensor, clean_head: nn.Linear) -> Tensor:
        """Return the logits (N, C) of mixed rows from their features (N, d)."""
        raise NotImplementedError(type(self).__name__)

    def losses(
        self, logits: tuple[Tensor, ...], mixed: MixedBatches, pseudo: PseudoLabels | None, step: Step
    ) -> Mapping[str, Tensor]:
        """Return the named scalar losses, weights included.

        Parameters
        ----------
        logits: of each of `mixed.images`. pseudo: of the unlabelled rows, (M,) with M at least B'.
        """
        raise NotImplementedError(type(self).__name__)
