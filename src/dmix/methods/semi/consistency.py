"""What FixMatch, FlexMatch and UDA share: strong views are taught what the network thinks of weak ones."""

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
    """Classes (N,) or distributions (N, C) that strong views are taught; which rows count, (N,) 0 or 1."""

    targets: Tensor
    mask: Tensor


class Consistency(SemiMethod):
    """Labelled, weak and strong rows in one pass, with one set of statistics, mixed rows with them or apart.

    The trained network teaches itself, not its moving average. Of the weak rows only the statistics have a
    gradient. Subclasses write `teach`.

    Parameters
    ----------
    weight: of the consistency.
    """

    unlabelled = ("augment", "strong")
    takes_addon = True

    def __init__(self, ingredients: Ingredients, weight: float) -> None:
        super().__init__(ingredients)
        self.weight = weight

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return what the strong views are taught.

        Parameters
        ----------
        weak: (N, C) logits of the weak views, detached. index: (N,) int64, the images' places in the split.
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
        parts = (batch.labelled.images[0], *batch.unlabelled.images, *self.joined(mixed))
        labelled, weak, strong, *of_mixed = together(self.encoder, parts)
        seen = self.head(weak).detach()
        lesson = self.teach(seen, batch.unlabelled.index)
        return {
            "ce": self.supervised(self.head(labelled), batch.labelled.labels, step),
            "consistency": self.weight * masked_ce(self.head(strong), *lesson),
            **self.mixed_losses(mixed, of_mixed, pseudo_labels(seen), step),
        }
