"""Fine-tuning: the cross-entropy of the labelled rows, from pre-trained weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.transfer.method import TransferMethod
from dmix.part import part


@part
class FineTuning(TransferMethod):
    """Nothing but what every transfer method has."""

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return nothing."""
        del features, batch
        return {}, None
