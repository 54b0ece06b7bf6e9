"""Fine-tuning of pre-trained weights with the cross-entropy of the labelled rows."""

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
    """Minimise the cross-entropy of the labelled rows, plus the losses of an add-on."""

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return no losses and no pseudo-classes."""
        del features, batch
        return {}, None
