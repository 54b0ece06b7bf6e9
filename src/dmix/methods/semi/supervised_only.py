"""The baseline of the semi-supervised methods: training on the labelled images only."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients, Step
from dmix.methods.semi.method import SemiMethod
from dmix.methods.semi.row_losses import masked_ce
from dmix.part import part


@part
class SupervisedOnly(SemiMethod):
    """Minimise the cross-entropy of the labelled rows, from the same labelled stream as the other methods."""

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`."""
        del step
        logits = self.head(self.encoder(batch.labelled.images[0]))
        return {"ce": masked_ce(logits, batch.labelled.labels)}
