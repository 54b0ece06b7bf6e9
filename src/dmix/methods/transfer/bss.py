"""BSS (Chen et al., 2019): fine-tuning with the smallest singular values of the features held down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from dmix.data.loading.two_streams import Pair
from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.transfer.host import Host
from dmix.methods.transfer.spectral import spectral_shrinkage
from dmix.part import part


@part
class BatchSpectralShrinkage(Host):
    """Add `shrinkage` times the sum of the `k` smallest squared singular values of the labelled features."""

    def __init__(
        self, ingredients: Ingredients, *, shrinkage: Annotated[float, Ge(0)], k: Annotated[int, Gt(0)]
    ) -> None:
        super().__init__(ingredients)
        self.shrinkage, self.k = shrinkage, k

    def own_losses(self, features: Tensor, batch: Pair) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return `bss`, a scalar."""
        del batch
        return {"bss": self.shrinkage * spectral_shrinkage(features, self.k)}, None
