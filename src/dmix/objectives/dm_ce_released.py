"""DM(CE) with the weights that the authors' released code (OpenMixup) intends."""

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

    w_a = lam^power and w_b = (1 - lam)^power for the classes that `mode` selects, else 0; mode "both" with
    power 0 is `dm_ce`. At lam = 1/2 every mode selects both classes. As in released code, the term is zero
    for rows of one class or with lam within 1e-3 of 0 or 1. Unlike there, weights do not depend on the order
    of the class indices in the batch's first row, the term is kept at lam = 1/2, and lam may differ between
    rows.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. eta: trade-off, 0 gives MCE.
    mode: which terms count: "both", that of the class of smaller lam ("less") or of larger lam ("more").
    power: exponent of a class's lam in the weight of its term.
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
    """Return MCE's terms, and the weighted decoupled ones with weight eta; arguments as in the objective."""
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
