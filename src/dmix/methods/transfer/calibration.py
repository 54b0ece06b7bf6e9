"""Temperature scaling (Guo et al., 2017): the factor of all logits that maximises the labels' likelihood."""

from __future__ import annotations

import sys

from scipy.optimize import brentq  # type: ignore[import-untyped]
from torch import Tensor

EXACT = 4 * sys.float_info.epsilon


def fit_scale(logits: Tensor, labels: Tensor, *, largest: float) -> float:
    """Return the s that minimises the mean cross-entropy of s * logits, in [-largest, largest].

    The cross-entropy is convex in s; the root of its derivative is found to machine precision. If every row's
    largest logit is its label's, the cross-entropy falls with s without end, and the result is `largest`. If
    the cross-entropy does not depend on s, the result is 1.

    Parameters
    ----------
    logits: (N, C), taken as float64. labels: (N,) int64. largest: > 1.
    """
    z = logits.detach().double()
    z = z - z.gather(1, labels.unsqueeze(1))  # label logits are now 0 and drop out of the slope

    def slope(s: float) -> float:
        return float(((s * z).softmax(1) * z).sum(1).mean())

    if slope(1.0) == 0:
        return 1.0
    if slope(largest) <= 0:
        return largest
    if slope(-largest) >= 0:
        return -largest
    return float(brentq(slope, -largest, largest, xtol=EXACT, rtol=EXACT, maxiter=1000))
