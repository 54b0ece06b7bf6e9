"""What an add-on of a two-stream method is: the contract on which methods depend."""

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
    """The mixed batches of a step; neither depends on a pseudo-class.

    Attributes
    ----------
    images: (B, 3, H, W) for labelled with labelled rows, and for labelled with unlabelled ones where there
        are any, (B', 3, H, W) with B' the smaller of both batches.
    y, partner: (B,) int64, labels of the rows and of their labelled partners.
    lam, share: (B,) and (B',) float32, true weight of the row's own label in the two batches.
    """

    images: tuple[Tensor, ...]
    y: Tensor
    partner: Tensor
    lam: Tensor
    share: Tensor


class Addon(nn.Module):
    """Base of the add-ons: batches mixed by the run's policy, with losses of the run's objective.

    Attributes
    ----------
    policy: mixes the rows. class_terms: the objective, taken apart by class.
    w_ll, w_lu: weights of labelled with labelled rows, and of labelled with unlabelled ones.
    unlabelled: whether unlabelled rows are read. view: which of their views, from 0.
    joint: whether mixed rows share a pass with the clean ones. freeze: whether those with unlabelled rows
        leave running statistics alone.
    own: the classifier of mixed rows, where they have one of their own.
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
        """Make what depends on the clean classifier. Called once."""
        raise NotImplementedError(type(self).__name__)

    def mix(
        self, images: Tensor, y: Tensor, unlabelled: Tensor | None, draws: Draws, context: Context
    ) -> MixedBatches:
        """Mix a labelled batch with a permutation of itself and with the first unlabelled rows.

        Parameters
        ----------
        images: (B, 3, H, W) float, normalised. y: (B,) int64. unlabelled: (M, 3, H, W), or None for none.
        """
        raise NotImplementedError(type(self).__name__)

    def logits(self, features: Tensor, clean_head: nn.Linear) -> Tensor:
        """Return the logits of mixed rows, (N, C), of features (N, d)."""
        raise NotImplementedError(type(self).__name__)

    def losses(
        self, logits: tuple[Tensor, ...], mixed: MixedBatches, pseudo: PseudoLabels | None, step: Step
    ) -> Mapping[str, Tensor]:
        """Return named scalar losses with their weights.

        Parameters
        ----------
        logits: of each of `mixed.images`. pseudo: of the unlabelled rows, (M,) with M at least B'.
        """
        raise NotImplementedError(type(self).__name__)
