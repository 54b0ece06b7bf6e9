"""BSS (Chen et al., 2019): fine-tuning with a penalty on the smallest singular values of the features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import PseudoLabels
from dmix.methods.transfer.method import TransferMethod
from dmix.part import part


@part
class BatchSpectralShrinkage(TransferMethod):
    """Add `shrinkage` times the sum of the `k` smallest squared singular values of labelled features."""

    def __init__(
        self, ingredients: Ingredients, *, shrinkage: Annotated[float, Ge(0)], k: Annotated[int, Gt(0)]
    ) -> None:
        super().__init__(ingredients)
        self.shrinkage, self.k = shrinkage, k

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return `bss`, a scalar."""
        del batch
        return {"bss": self.shrinkage * spectral_shrinkage(features, self.k)}, None


def spectral_shrinkage(features: Tensor, k: int) -> Tensor:
    """Return the sum of the k smallest squared singular values, a scalar, float32 or wider.

    They are computed as the smallest eigenvalues of the Gram matrix, in float64. The gradient of s^2 is
    2 s u v^T, which has no differences of singular values and is finite where some are equal or 0. (If the
    k-th and the next are equal, it is one of several subgradients.) On a GPU the host waits for the
    eigenvalues.

    Parameters
    ----------
    features: (B, d) floating, pooled. k: 1 to min(B, d); the latter gives the squared Frobenius norm. BSS has
        k = 1 and multiplies the result by 0.001.

    Raises
    ------
    ValueError: k is out of range.
    """
    n = min(features.shape)
    if not 1 <= k <= n:
        raise ValueError(f"k is {k}, but features {tuple(features.shape)} have {n} singular values")
    wide = features.double()
    gram = wide @ wide.T if n == len(wide) else wide.T @ wide
    # rounding can make an eigenvalue of 0 slightly negative
    eigenvalues: Tensor = torch.linalg.eigvalsh(gram)
    value = eigenvalues[:k].clamp(min=0).sum()
    return value if features.dtype == torch.float64 else value.float()
