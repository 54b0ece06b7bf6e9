"""Pseudo-Label (Lee, 2013), as in TorchSSL: unlabelled rows learn their own confident pseudo-classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients, Step
from dmix.methods.addons.pseudo import confident, pseudo_labels
from dmix.methods.passes import apart
from dmix.methods.semi.method import SemiMethod
from dmix.methods.semi.ramps import linear
from dmix.methods.semi.row_losses import masked_ce
from dmix.part import part


@part
class PseudoLabel(SemiMethod):
    """Add the cross-entropy of unlabelled rows with their own pseudo-classes.

    Their forward pass does not update the running statistics.

    Settings: `threshold`, minimum confidence of a row that counts; `weight` of this loss; `ramp`, fraction of
    the run in which the weight grows linearly from 0.
    """

    unlabelled = ("augment",)

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        threshold: Annotated[float, Ge(0)],
        weight: Annotated[float, Ge(0)],
        ramp: Annotated[float, Ge(0), Le(1)],
    ) -> None:
        super().__init__(ingredients)
        self.threshold, self.weight, self.ramp = threshold, weight, ramp

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce` and `pseudo`."""
        assert batch.unlabelled is not None
        labelled = self.head(self.encoder(batch.labelled.images[0]))
        unlabelled = self.head(apart(self.encoder, batch.unlabelled.images[0], freeze=True))
        weight = self.weight * linear(step.number, self.ramp * step.total)
        return {
            "ce": masked_ce(labelled, batch.labelled.labels),
            "pseudo": weight * pseudo_loss(unlabelled, self.threshold),
        }


def pseudo_loss(logits: Tensor, threshold: float) -> Tensor:
    """Return the mean over all rows of m * cross-entropy with the most probable class, a scalar.

    m is whether that class's probability reaches `threshold`. Classes and m have no gradient.

    Parameters
    ----------
    logits: (N, C).
    """
    found = pseudo_labels(logits)
    return masked_ce(logits, found.classes, confident(found.confidence, threshold))
