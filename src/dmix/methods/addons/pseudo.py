"""Pseudo-classes of unlabelled rows, and which of them are confident."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PseudoLabels(NamedTuple):
    """The most probable class of each row, (N,) int64, and its probability, (N,) float32 or wider."""

    classes: Tensor
    confidence: Tensor


def pseudo_labels(logits: Tensor) -> PseudoLabels:
    """Return the arg-max classes of logits (N, C); no gradient reaches the logits."""
    z = logits.detach()
    confidence, classes = (z if z.dtype == torch.float64 else z.float()).softmax(1).max(1)
    return PseudoLabels(classes, confidence)


def confident(confidence: Tensor, threshold: float | Tensor) -> Tensor:
    """Return 1 where confidence (N,) >= threshold, else 0, in the dtype of `confidence`.

    Parameters
    ----------
    threshold: a number, or (N,). 0 keeps every row, a number above 1 none.
    """
    return (confidence >= threshold).to(confidence.dtype)
