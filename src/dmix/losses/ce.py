"""Cross-entropy on unmixed samples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from dmix.part import part


@part
def ce(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:  # noqa: ARG001
    """Return -log p_a per row, (N,) float32 or wider; y_b and lam belong to the contract and are not read."""
    z = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(z, y_a, reduction="none")
