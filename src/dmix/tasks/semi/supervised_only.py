"""The labelled images alone: what every semi-supervised method is compared with."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dmix.data.paired import Pair
from dmix.engine.task import Ingredients, Step
from dmix.part import part
from dmix.tasks.semi.host import SemiHost
from dmix.tasks.semi.row_losses import masked_ce


@part
class SupervisedOnly(SemiHost):
    """The cross-entropy of the labelled rows, from the same labels and the same stream of them."""

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)

    def losses(self, batch: Pair, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`."""
        del step
        logits = self.head(self.encoder(batch.labelled.images[0]))
        return {"ce": masked_ce(logits, batch.labelled.labels)}
