"""DM(CE) with the asymmetrical strategy: labelled samples mixed with pseudo-labelled ones (section 3.2)."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from dmix.losses.decoupled import asymmetric_decoupled_ce
from dmix.losses.mce import mce
from dmix.part import part


@part
def dm_ce_asymmetric(
    logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor, *, eta: Annotated[float, Ge(0)]
) -> Tensor:
    """Return MCE - eta * log phi(a|b) per row, (N,) float32 or wider.

    The pseudo-label y_b keeps its share of MCE and has no decoupled term: at its logit the gradient is
    exactly MCE's. See `decoupled_terms` for the rows on which the term is zero.

    Parameters
    ----------
    logits: (N, C). y_a: (N,) int64, labels. y_b: (N,) int64, pseudo-labels.
    lam: (N,) in [0, 1], weight of y_a; that it is below 1/2 is up to whoever draws it.
    eta: trade-off, 0 gives MCE.
    """
    return mce(logits, y_a, y_b, lam) + eta * asymmetric_decoupled_ce(logits, y_a, y_b, lam)
