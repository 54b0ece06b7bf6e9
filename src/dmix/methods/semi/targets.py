"""Distributions that unlabelled images are taught: averaged, sharpened or aligned. All are detached."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def probabilities(logits: Tensor) -> Tensor:
    """Return the softmax of (N, C), detached, in float32 or wider also where the network computes in less."""
    z = logits.detach()
    return (z if z.dtype == torch.float64 else z.float()).softmax(1)


def certain(labels: Tensor, like: Tensor) -> Tensor:
    """Return the distributions (N, C) that are nothing but the labels (N,), in the kind of `like` (M, C)."""
    # functional.one_hot reads its labels back, on some devices, to check them
    return torch.eye(like.shape[1], dtype=like.dtype, device=like.device)[labels]


def guess(views: Sequence[Tensor]) -> Tensor:
    """Return the mean distribution (N, C) of the logits of several views of the same images (MixMatch)."""
    return torch.stack([probabilities(logits) for logits in views]).mean(0)


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """Return p^(1 / temperature), each row of (N, C) made a distribution again.

    Of the softmax of logits it is the softmax of logits / temperature, which is UDA's target.
    """
    # relative to the largest, so that a low temperature does not make all of a row underflow to 0
    powers = (p / p.amax(1, keepdim=True)) ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)


def follow(mean: Tensor | None, p: Tensor, decay: float) -> Tensor:
    """Return the running mean (C,) of predictions after a batch of p (N, C); None before the first batch."""
    now = p.mean(0)
    return now if mean is None else decay * mean + (1 - decay) * now


def align(p: Tensor, wanted: Tensor, predicted: Tensor) -> Tensor:
    """Return p (N, C) times wanted / predicted, both (C,), each row made a distribution again (ReMixMatch).

    Parameters
    ----------
    wanted: frequencies of the classes among labelled images.
    predicted: the running mean of predictions on unlabelled ones, this batch included.
    """
    # a class that has never been predicted, not even by underflow, has no share to scale
    ratio = wanted / predicted.clamp(min=torch.finfo(predicted.dtype).tiny)
    aligned = p * ratio
    return aligned / aligned.sum(1, keepdim=True)
