"""Sigmoid binary cross-entropy of mixed rows, shared by MBCE and DM(BCE) (the paper, section 3.3)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from dmix.objectives.decoupled import mixes_two_classes

# torch's softplus is the identity above its threshold; at the default, 20, float64 would see the difference.
EXACT = 40.0


def pair_targets(y_a: Tensor, y_b: Tensor, lam: Tensor, wanted: Tensor) -> Tensor:
    """Return targets of y_a and y_b, (N, 2): `wanted` where a row mixes two classes, else lam and 1 - lam.

    The latter give an absent image's class the target 0, and a class mixed with itself the target
    lam + (1 - lam) = 1; with a larger sum the loss would have no minimum.

    Parameters
    ----------
    y_a, y_b: (N,) int64. lam: (N,) in [0, 1], weight of y_a. wanted: (N, 2) in [0, 1].
    """
    shares = torch.stack([lam, 1 - lam], 1)
    return torch.where(mixes_two_classes(y_a, y_b, lam).unsqueeze(1), wanted, shares)


def binary_ce(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    targets: Tensor,
    reduction: Literal["sum_classes", "mean_all"],
) -> Tensor:
    """Return the sum, or the mean, over classes of softplus(z_c) - z_c Y_c, (N,) float32 or wider.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. targets: (N, 2), Y of y_a and y_b, added where y_a == y_b; Y of all
        other classes is 0.
    reduction: "sum_classes" sums over the C classes (OpenMixup), "mean_all" divides that by C (timm).
    """
    z = logits if logits.dtype == torch.float64 else logits.float()
    of_pair = z.gather(1, torch.stack([y_a, y_b], 1))
    losses = functional.softplus(z, threshold=EXACT).sum(1) - (of_pair * targets).sum(1)
    return losses / z.shape[1] if reduction == "mean_all" else losses
