"""DM(BCE): binary cross-entropy with rescaled lam as targets (the paper, section 3.3)."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from dmix.objectives.binary import binary_ce, pair_targets
from dmix.part import part

NO_CLASS_TERMS = "a row's terms are of all classes' sigmoids, not of one mixed class each"


def rescale(lam: Tensor, t: float, xi: float) -> Tensor:
    """Return r(lam) = min(1, (lam / xi)^t), in [0, 1] (Eq. 3, truncated as in Figure 4).

    It is 1 everywhere if t = 0 or xi = 0, also at lam = 0, and the identity if t = xi = 1.

    Parameters
    ----------
    lam: any shape, in [0, 1]. t >= 0: convexity. 0 <= xi <= 1: lam from which on the target is 1.
    """
    if t == 0 or xi == 0:
        return torch.ones_like(lam)
    return (lam / xi).clamp(max=1).pow(t)


@part
def dm_bce(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    t: Annotated[float, Ge(0)],
    xi: Annotated[float, Interval(ge=0, le=1)],
    reduction: Literal["sum_classes", "mean_all"],
) -> Tensor:
    """Return the binary cross-entropy with targets r(lam) and r(1 - lam) per row, (N,) float32 or wider.

    The two targets are rescaled independently and need not add up to 1. t = xi = 1 is `mbce_one`, t = 0 or
    xi = 0 is `mbce_two`. See `pair_targets` for the rows that do not mix two classes.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. t, xi: see `rescale`.
    reduction: over the classes, see `binary_ce`.
    """
    wanted = rescale(torch.stack([lam, 1 - lam], 1), t, xi)
    return binary_ce(logits, y_a, y_b, pair_targets(y_a, y_b, lam, wanted), reduction)
