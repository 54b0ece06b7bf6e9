"""Top-1 and top-2 accuracy on mixed images (the paper, Figures 2 and 6)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class MixedHits(NamedTuple):
    """Counts over a batch, scalars int64 on the device of the logits; accuracy is hits / pairs.

    Attributes
    ----------
    top1: mixed images whose highest logit is of one of their two classes.
    top2: mixed images whose two highest logits are of their two classes, in either order; at most top1.
    pairs: mixed images of two different classes; only these are counted.
    """

    top1: Tensor
    top2: Tensor
    pairs: Tensor


def mixed_hits(logits: Tensor, y_a: Tensor, y_b: Tensor) -> MixedHits:
    """Count the mixed images whose classes have the highest logits. Ties go to the lower class index.

    Parameters
    ----------
    logits: (N, C) of mixed images, C >= 2. y_a, y_b: (N,) int64, their classes.
    """
    first, second = logits.argsort(dim=1, descending=True, stable=True)[:, :2].unbind(1)
    pairs = y_a != y_b
    first_is_one = (first == y_a) | (first == y_b)
    second_is_one = (second == y_a) | (second == y_b)
    return MixedHits(
        top1=(pairs & first_is_one).sum(),
        top2=(pairs & first_is_one & second_is_one).sum(),
        pairs=pairs.sum(),
    )
