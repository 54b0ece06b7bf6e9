"""Target distributions of unlabelled images: averaged, sharpened or aligned. All are detached."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def probabilities(logits: Tensor) -> Tensor:
    """Return the softmax of (N, C), detached, in float32 or wider whatever the logits' dtype."""
    z = logits.detach()
    return (z if z.dtype == torch.float64 else z.float()).softmax(1)


def certain(labels: Tensor, like: Tensor) -> Tensor:
    """Return one-hot distributions (N, C) of the labels (N,), with dtype and device of `like` (M, C)."""
    # functional.one_hot synchronises with some devices to check its labels
    return torch.eye(like.shape[1], dtype=like.dtype, device=like.device)[labels]


def guess(views: Sequence[Tensor]) -> Tensor:
    """Return the mean softmax (N, C) of the logits of several views of the same images (MixMatch)."""
    return torch.stack([probabilities(logits) for logits in views]).mean(0)


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """Return p^(1 / temperature), (N, C), rows normalised to sum 1.

    If p is a softmax of logits, this is the softmax of logits / temperature, which is UDA's target.
    """
    # relative to the largest, so that not all of a row underflows to 0 at a low temperature
    powers = (p / p.amax(1, keepdim=True)) ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)


def follow(mean: Tensor | None, p: Tensor, decay: float) -> Tensor:
    """Return the running mean (C,) of predictions, updated by p (N, C); `mean` is None at the first batch."""
    now = p.mean(0)
    return now if mean is None else decay * mean + (1 - decay) * now


def align(p: Tensor, wanted: Tensor, predicted: Tensor) -> Tensor:
    """Return p (N, C) times wanted / predicted, both (C,), rows normalised to sum 1 (ReMixMatch).

    Parameters
    ----------
    wanted: frequencies of the classes among labelled images.
    predicted: the running mean of predictions on unlabelled ones, this batch included.
    """
    # the running mean of a class that is never predicted can underflow to 0
    ratio = wanted / predicted.clamp(min=torch.finfo(predicted.dtype).tiny)
    aligned = p * ratio
    return aligned / aligned.sum(1, keepdim=True)
