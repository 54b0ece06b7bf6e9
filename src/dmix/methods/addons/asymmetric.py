"""Labelled rows mixed with each other and with pseudo-labelled ones: the asymmetrical strategy (section 3.2).

A labelled image is mixed with an unlabelled one by lam <= 1/2, so that it is the fainter of the two, and
only its class has a decoupled term. The mixed input does not depend on the pseudo-label.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from dmix.objectives.ce import ce
from dmix.objectives.decoupled import asymmetric_decoupled_ce, decoupled_terms
from dmix.objectives.mce import mce

Rule = Literal["free", "at_most_half", "at_least_half"]
Sides = Literal["labelled", "both"]
MceSides = Literal["both", "labelled"]


def labelled_share(drawn: Tensor, rule: Rule) -> Tensor:
    """Return the weight of the labelled side, of the shape and dtype of `drawn`.

    Parameters
    ----------
    drawn: values of Beta(alpha, alpha), in [0, 1].
    rule: "at_most_half" is min(l, 1 - l), the paper's strategy; "at_least_half" max(l, 1 - l), the opposite
        that Table 8 compares with; "free" is l, no asymmetry.
    """
    if rule == "free":
        return drawn
    return torch.minimum(drawn, 1 - drawn) if rule == "at_most_half" else torch.maximum(drawn, 1 - drawn)


def labelled_loss(
    logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor, *, eta: float, power: float = 0.0
) -> Tensor:
    """Return the mean over all rows of MCE + eta * both decoupled terms, a scalar: labelled with labelled.

    Parameters
    ----------
    logits: (N, C). y_a, y_b: (N,) int64, labels. lam: (N,) in [0, 1], weight of y_a. eta: 0 gives MCE.
    power: each term is weighed by its class's share to this power, as in released code; 0 is the paper's.
    """
    return (mce(logits, y_a, y_b, lam) + eta * _terms(logits, y_a, y_b, lam, power).sum(1)).mean()


def asymmetric_loss(
    logits: Tensor,
    y: Tensor,
    pseudo: Tensor,
    lam: Tensor,
    *,
    eta: float,
    mask: Tensor | None = None,
    sides: Sides = "labelled",
    mce_sides: MceSides = "both",
    power: float = 0.0,
) -> Tensor:
    """Return the mean over all rows of m * (MCE + eta * decoupled), a scalar: labelled with unlabelled.

    Rows without weight count in the denominator.

    Parameters
    ----------
    logits: (N, C) of rows from `mix_rows`. y, pseudo: (N,) int64, labels and pseudo-classes.
    lam: (N,) in [0, 1], weight of y. eta: 0 gives MCE.
    mask: (N,) m in {0, 1}; None is 1 throughout.
    sides: whose decoupled term counts: the label's alone, the paper's strategy, under which the gradient at
        the pseudo-class is exactly MCE's; or the pseudo-class's too (Table 8 without the strategy).
    mce_sides: whose cross-entropy counts: both classes', as the paper's mixed label says, or lam times the
        label's alone.
    power: see `labelled_loss`.
    """
    rows = mce(logits, y, pseudo, lam) if mce_sides == "both" else lam * ce(logits, y, y, lam)
    if sides == "labelled":
        rows = rows + eta * lam.pow(power) * asymmetric_decoupled_ce(logits, y, pseudo, lam)
    else:
        rows = rows + eta * _terms(logits, y, pseudo, lam, power).sum(1)
    return (rows if mask is None else rows * mask).mean()


def _terms(logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor, power: float) -> Tensor:
    """Return both decoupled terms, (N, 2), each times its class's share to the given power."""
    return decoupled_terms(logits, y_a, y_b, lam) * torch.stack([lam, 1 - lam], 1).pow(power)
