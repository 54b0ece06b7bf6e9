"""DM(CE): MCE plus the decoupled term (the paper, section 3.1)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor

from dmix.objectives.decoupled import decoupled_ce, decoupled_terms
from dmix.objectives.mce import class_terms as mce_terms
from dmix.objectives.mce import mce
from dmix.objectives.objective import ClassTerms
from dmix.part import part


@part
def dm_ce(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    eta: Annotated[float, Ge(0)],
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> Tensor:
    """Return MCE - eta * (log phi(a|b) + log phi(b|a)) per row, (N,) float32 or wider.

    The decoupled term is not weighted by lam and is the sum for both classes; see `decoupled_ce` for the rows
    on which it is zero.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64. lam: (N,) in [0, 1]. eta: trade-off, 0 gives MCE.
    label_smoothing: affects the MCE term only, see `mce`. (OpenMixup smooths first, and then treats every
        class with a target above 0 as mixed.)
    """
    smoothed = mce(logits, y_a, y_b, lam, label_smoothing=label_smoothing)
    return smoothed + eta * decoupled_ce(logits, y_a, y_b, lam)


def class_terms(
    logits: Tensor,
    y_a: Tensor,
    y_b: Tensor,
    lam: Tensor,
    *,
    eta: float,
    label_smoothing: float = 0.0,
) -> ClassTerms:
    """Return MCE's terms, and -log phi(a|b) and -log phi(b|a) with weight eta; arguments as in `dm_ce`."""
    shared = mce_terms(logits, y_a, y_b, lam, label_smoothing=label_smoothing)
    return ClassTerms(shared.mixed, decoupled_terms(logits, y_a, y_b, lam), eta)
