"""The asymmetrical strategy (the paper, section 3.2): labelled rows mixed with pseudo-labelled ones.

A labelled image is mixed with an unlabelled one by lam <= 1/2, so that it is the fainter of the two, and
only its class has a decoupled term. The mixed input does not depend on the pseudo-label.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dmix.objectives.objective import ClassTerms
from dmix.policies.draw import Floats

Rule = Literal["free", "at_most_half", "at_least_half"]
Sides = Literal["labelled", "both"]


def labelled_share(drawn: Floats, rule: Rule) -> Floats:
    """Return the wanted weight of the labelled image, of the shape and dtype of `drawn`.

    Parameters
    ----------
    drawn: what the policy drew, in [0, 1].
    rule: "at_most_half" is min(l, 1 - l), the paper's strategy; "at_least_half" max(l, 1 - l), the opposite
        that Table 8 compares with; "free" is l, no asymmetry.
    """
    if rule == "free":
        return drawn
    return np.minimum(drawn, 1 - drawn) if rule == "at_most_half" else np.maximum(drawn, 1 - drawn)


def losses_of(terms: ClassTerms, lam: Tensor, *, sides: Sides, mce_sides: Sides, power: float) -> Tensor:
    """Return the loss of every row, (N,), from those of its terms that count.

    With "both", "both" and 0 it is the objective.

    Parameters
    ----------
    terms: of logits of mixed rows, with the labels first. lam: (N,) in [0, 1], weight of the label.
    sides: whose decoupled term counts: the label's alone, the paper's strategy, under which the gradient at
        the pseudo-class is exactly that of the other terms; or the pseudo-class's too (Table 8 without the
        strategy).
    mce_sides: whose terms weighted by share count: both classes', as the paper's mixed label says, or the
        label's alone.
    power: each decoupled term is weighted by its class's share to this power, as in released code; 0 is the
        paper's.
    """
    rows = terms.mixed.sum(1) if mce_sides == "both" else terms.mixed[:, 0]
    if terms.decoupled is None:
        return rows
    decoupled = terms.decoupled
    if power:
        decoupled = decoupled * torch.stack([lam, 1 - lam], 1).pow(power)
    return rows + terms.weight * (decoupled.sum(1) if sides == "both" else decoupled[:, 0])
