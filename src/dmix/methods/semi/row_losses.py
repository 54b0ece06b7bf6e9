"""Losses of logits against classes or distributions: means over all rows, including those of weight 0.

They are computed in float32 or wider, whatever the logits' dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def masked_ce(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean over all rows of m * cross-entropy, a scalar.

    Parameters
    ----------
    logits: (N, C). targets: (N,) int64, classes; or (N, C) float, distributions.
    mask: (N,), m, usually in {0, 1}; None means 1 for every row.
    """
    rows = functional.cross_entropy(_wide(logits), targets, reduction="none")
    return (rows if mask is None else rows * mask).mean()


def annealed_ce(logits: Tensor, y: Tensor, limit: float) -> Tensor:
    """Return the mean over all rows of the cross-entropy, 0 for rows more confident than `limit` (UDA).

    A row's confidence is its largest probability, as in TorchSSL; in the original, that of the label.

    Parameters
    ----------
    logits: (N, C). y: (N,) int64. limit: in 0..1; with 1 every row counts.
    """
    z = _wide(logits)
    return masked_ce(z, y, (z.detach().softmax(1).amax(1) <= limit).to(z.dtype))


def squared_error(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over rows and classes of (softmax - target)^2 (MixMatch), a scalar of at most 2 / C.

    Parameters
    ----------
    logits: (N, C). targets: (N, C) float, distributions.
    """
    return functional.mse_loss(_wide(logits).softmax(1), targets)


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
