"""DM(CE) as weighted in the authors' released code (OpenMixup), as intended there."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from dmix.objectives.decoupled import decoupled_terms
from dmix.objectives.mce import class_terms as mce_terms
from dmix.objectives.mce import mce
from dmix.objectives.objective import ClassTerms
from dmix.part import part

Mode = Literal["both", "less", "more"]


@part
def dm_ce_released(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    eta: Annotated[float, Ge(0)],
    mode: Literal["both", "less", "more"],
    power: Annotated[float, Ge(0)],
) -> Tensor:
    """Return MCE - eta * (w_a log phi(a|b) + w_b log phi(b|a)) per row, (N,) float32 or wider.

    w_a = lam^power and w_b = (1 - lam)^power for the classes that `mode` selects, 0 for the others;
    mode "both" with power 0 is `dm_ce`. Kept of the released code: the weights, the modes, and no term
    for one class or for lam within 1e-3 of 0 or 1. Not kept: it weights the sides in the order of the class
    indices of the batch's first row, drops the term at lam = 1/2 and fails on a lam per row. At lam = 1/2
    neither class has the smaller share, and every mode selects both.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. eta: trade-off, 0 gives MCE.
    mode: whose term is kept: both classes', that of the smaller share ("less"), of the larger ("more").
    power: exponent of a class's share in the weight of its term.
    """
    return mce(logits, y_a, y_b, lam) + eta * _weighted(logits, y_a, y_b, lam, mode, power).sum(1)


def class_terms(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    eta: float,
    mode: Mode,
    power: float,
) -> ClassTerms:
    """Return MCE's terms, and the weighted decoupled ones times eta; the arguments are the objective's."""
    mixed = mce_terms(logits, y_a, y_b, lam).mixed
    return ClassTerms(mixed, _weighted(logits, y_a, y_b, lam, mode, power), eta)


def _weighted(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor, mode: Mode, power: float) -> Tensor:
    """Return -w_a log phi(a|b) and -w_b log phi(b|a), (N, 2)."""
    share = torch.stack([lam, 1 - lam], 1)
    weight = share.pow(power)
    if mode == "less":
        weight = torch.where(share <= share.flip(1), weight, 0.0)
    elif mode == "more":
        weight = torch.where(share >= share.flip(1), weight, 0.0)
    return weight * decoupled_terms(logits, y_a, y_b, lam)
