"""MBCE(two): binary cross-entropy with two-hot targets (the paper, section 4.1)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from dmix.objectives.binary import binary_ce, pair_targets
from dmix.part import part

NO_CLASS_TERMS = "a row's terms are of all classes' sigmoids, not of one mixed class each"


@part
def mbce_two(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    reduction: Literal["sum_classes", "mean_all"],
) -> Tensor:
    """Return the binary cross-entropy with target 1 for both classes per row, (N,) float32 or wider.

    See `pair_targets` for the rows that do not mix two classes.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. reduction: over the classes, see `binary_ce`.
    """
    targets = pair_targets(y_a, y_b, lam, lam.new_ones(len(lam), 2))
    return binary_ce(logits, y_a, y_b, targets, reduction)
