"""MCE: cross-entropy weighted by lam (the paper, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.part import part


@part
def mce(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return -lam log p_a - (1 - lam) log p_b per row, (N,) float32 or wider.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    log_p = z.log_softmax(1)
    log_a = log_p.gather(1, y_a.unsqueeze(1)).squeeze(1)
    log_b = log_p.gather(1, y_b.unsqueeze(1)).squeeze(1)
    return -lam * log_a - (1 - lam) * log_b
