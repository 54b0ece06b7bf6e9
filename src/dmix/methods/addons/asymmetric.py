"""The asymmetrical strategy (the paper, section 3.2) for labelled rows mixed with pseudo-labelled ones.

A labelled image is mixed with an unlabelled one with weight lam <= 1/2, and only its class has a decoupled
term. The mixed image does not depend on the pseudo-label.
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
    drawn: l, drawn by the policy, in [0, 1].
    rule: "at_most_half" is min(l, 1 - l), the paper's strategy; "at_least_half" is max(l, 1 - l), its opposite
        in Table 8; "free" is l.
    """
    if rule == "free":
        return drawn
    return np.minimum(drawn, 1 - drawn) if rule == "at_most_half" else np.maximum(drawn, 1 - drawn)


def losses_of(terms: ClassTerms, lam: Tensor, *, sides: Sides, mce_sides: Sides, power: float) -> Tensor:
    """Return the loss of every row, (N,), from the terms that `sides` and `mce_sides` select.

    With "both", "both" and power 0 it is the objective.

    Parameters
    ----------
    terms: of the mixed rows' logits; the label is the first class, the pseudo-class the second.
    lam: (N,) in [0, 1], weight of the label.
    sides: which decoupled terms count: the label's only (the paper's strategy: they add no gradient at the
        pseudo-class's logit), or both (Table 8 without the strategy).
    mce_sides: which terms weighted by lam count: both, as with the paper's mixed label, or the label's only.
    power: decoupled terms are weighted by lam or 1 - lam to this power, as in released code; 0 in the paper.
    """
    rows = terms.mixed.sum(1) if mce_sides == "both" else terms.mixed[:, 0]
    if terms.decoupled is None:
        return rows
    decoupled = terms.decoupled
    if power:
        decoupled = decoupled * torch.stack([lam, 1 - lam], 1).pow(power)
    return rows + terms.weight * (decoupled.sum(1) if sides == "both" else decoupled[:, 0])
