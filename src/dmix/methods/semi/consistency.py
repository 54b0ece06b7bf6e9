"""Consistency training, shared by FixMatch, FlexMatch and UDA: weak views give the targets of strong ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients, Step
from dmix.methods.addons.pseudo import pseudo_labels
from dmix.methods.passes import together
from dmix.methods.semi.method import SemiMethod
from dmix.methods.semi.row_losses import masked_ce


class Lesson(NamedTuple):
    """Targets of strong views, classes (N,) or distributions (N, C), and which rows count, (N,) 0 or 1."""

    targets: Tensor
    mask: Tensor


class Consistency(SemiMethod):
    """Base class of FixMatch, FlexMatch and UDA. Subclasses write `teach`.

    Labelled, weak and strong rows share one forward pass, so batch-norm statistics; mixed rows join it or have
    their own. Targets are from the trained network, not from its moving average. Weak rows get a gradient
    only through the statistics.

    Parameters
    ----------
    weight: of the consistency loss.
    """

    unlabelled = ("augment", "strong")
    takes_addon = True

    def __init__(self, ingredients: Ingredients, weight: float) -> None:
        super().__init__(ingredients)
        self.weight = weight

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return the targets of the strong views.

        Parameters
        ----------
        weak: (N, C) logits of the weak views, detached. index: (N,) int64, the images' indices in the split.
        """
        raise NotImplementedError(type(self).__name__)

    def supervised(self, logits: Tensor, y: Tensor, step: Step) -> Tensor:
        """Return the loss of the labelled rows, a scalar."""
        del step
        return masked_ce(logits, y)

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`, `consistency`, and the losses of mixed rows."""
        assert batch.unlabelled is not None
        mixed = self.mixed(batch, step)
        batches = (batch.labelled.images[0], *batch.unlabelled.images, *self.joined(mixed))
        labelled, weak, strong, *of_mixed = together(self.encoder, batches)
        seen = self.head(weak).detach()
        lesson = self.teach(seen, batch.unlabelled.index)
        return {
            "ce": self.supervised(self.head(labelled), batch.labelled.labels, step),
            "consistency": self.weight * masked_ce(self.head(strong), *lesson),
            **self.mixed_losses(mixed, of_mixed, pseudo_labels(seen), step),
        }
