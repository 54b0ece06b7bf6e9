"""MBCE(one): binary cross-entropy with targets lam and 1 - lam (the paper, section 4.1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dmix.objectives.binary import binary_ce
from dmix.part import part

NO_CLASS_TERMS = "a row's terms are of all classes' sigmoids, not of one mixed class each"


@part
def mbce_one(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    reduction: Literal["sum_classes", "mean_all"],
) -> Tensor:
    """Return the binary cross-entropy with targets lam and 1 - lam per row, (N,) float32 or wider.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. reduction: over the classes, see `binary_ce`.
    """
    return binary_ce(logits, y_a, y_b, torch.stack([lam, 1 - lam], 1), reduction)
