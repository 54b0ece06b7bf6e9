"""The decoupled softmax of the paper (section 3.1), shared by the objectives built on it."""

from __future__ import annotations

import torch
from torch import Tensor

TINY_LAM = 1e-3


def log_phi(logits: Tensor, target: Tensor, removed: Tensor) -> Tensor:
    """Return log of the softmax of class `target` with class `removed` deleted, per row.

    log phi(i|j) = z_i - logsumexp over c != j of z_c, computed by masking, in float32 or wider: the form
    log(p_i / (1 - p_j)) cancels where p_j is near 1.

    Parameters
    ----------
    logits: (N, C) floating, C >= 2. target, removed: (N,) int64. Rows with target == removed give -inf.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    masked = z.scatter(1, removed.unsqueeze(1), float("-inf"))
    return masked.gather(1, target.unsqueeze(1)).squeeze(1) - masked.logsumexp(1)


def decoupled_ce(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
    """Return -log phi(a|b) - log phi(b|a) per row, (N,): Proposition 2, off-diagonal terms only.

    Zero where the row is not a mix of two classes: y_a == y_b, or min(lam, 1 - lam) <= 1e-3. The
    value does not depend on lam otherwise.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a.
    """
    valid = (y_a != y_b) & (torch.minimum(lam, 1 - lam) > TINY_LAM)
    # Rows without a competitor remove some other class instead, so that no infinity enters the backward.
    other = torch.where(y_a == y_b, (y_a + 1) % logits.shape[1], y_b)
    terms = log_phi(logits, y_a, other) + log_phi(logits, other, y_a)
    return torch.where(valid, -terms, torch.zeros_like(terms))
