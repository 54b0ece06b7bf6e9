"""MCE: cross-entropy weighted by lam (the paper, section 2.1)."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from dmix.objectives.objective import ClassTerms
from dmix.part import part


@part
def mce(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> Tensor:
    """Return -lam log p_a - (1 - lam) log p_b per row, (N,) float32 or wider.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a.
    label_smoothing: share of the target spread evenly over all C classes (Szegedy et al., 2016).
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    log_p = z.log_softmax(1)
    log_a = log_p.gather(1, y_a.unsqueeze(1)).squeeze(1)
    log_b = log_p.gather(1, y_b.unsqueeze(1)).squeeze(1)
    hard = -lam * log_a - (1 - lam) * log_b
    if label_smoothing == 0:
        return hard
    return (1 - label_smoothing) * hard - label_smoothing * log_p.mean(1)


def class_terms(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    label_smoothing: float = 0.0,
) -> ClassTerms:
    """Return -lam log p_a and -(1 - lam) log p_b; the smoothing term is split by lam, too.

    Arguments as in `mce`.
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    log_p = z.log_softmax(1)
    shares = torch.stack([lam, 1 - lam], 1)
    mixed = -shares * log_p.gather(1, torch.stack([y_a, y_b], 1))
    if label_smoothing:
        mixed = (1 - label_smoothing) * mixed - label_smoothing * shares * log_p.mean(1, keepdim=True)
    return ClassTerms(mixed)
