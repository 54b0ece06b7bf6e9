"""Keep the mean of a learned mask near lam: the mask losses of AutoMix and SAMix, and rescaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, takewhile
from operator import mul
from typing import Literal

import torch
from torch import Tensor


def l1(mask: Tensor, lam: float, margin: float) -> Tensor:
    """Return max(|1 - mean(mask) - lam| - margin, 0), a scalar; the mean is over the whole batch.

    Parameters
    ----------
    mask: (N, 1, H, W) in [0, 1], weight of the partner's pixels. lam: weight of the own image.
    """
    return ((1 - mask.mean() - lam).abs() - margin).relu()


def l1_variance(mask: Tensor, lam: float, margin: float) -> Tensor:
    """Return `l1` - 2 * variance of the mask, a scalar that can be negative; arguments as in `l1`.

    The variance, about the mean of the whole batch, favours masks near 0 or 1.
    """
    return l1(mask, lam, margin) - 2 * mask.var(correction=0)


MASK_LOSSES = {"l1": l1, "l1_variance": l1_variance}


def weight_at(
    step: int, total: int, start: float, schedule: Literal["constant", "cosine", "compounding_cosine"]
) -> float:
    """Return the weight of the mask loss in step `step` (from 0) of `total`; both cosines end at 0.

    With f(k) = (cos(pi * k / total) + 1) / 2, "cosine" is start * f(step), and "compounding_cosine" is
    start * f(0) * f(1) * ... * f(step): AutoMix's released code, as executed, multiplies the weight of the
    step before by the factor of the step. That is below 1 % of `start` after 1.8 * total^(2/3) steps.
    """
    if schedule == "constant":
        return start
    if schedule == "cosine":
        return start * (math.cos(math.pi * step / total) + 1) / 2
    products = _compounded(total)
    return start * products[step] if step < len(products) else 0.0


@lru_cache(maxsize=1)
def _compounded(total: int) -> Sequence[float]:
    """Return f(0) * ... * f(step) of every step until it underflows; a resumed run finds the same values."""
    factors = ((math.cos(math.pi * step / total) + 1) / 2 for step in range(total))
    return tuple(takewhile(lambda product: product > 0, accumulate(factors, mul)))


def adjust_mean(mask: Tensor, lam: float) -> Tensor:
    """Return `mask` (N, 1, H, W), in (0, 1), rescaled image by image to the mean lam.

    Where its mean is above lam the mask is scaled down, else its complement is; so it stays in (0, 1). The
    released code rescales the network's masks to the mixer's lam, this function to the network's.
    """
    mean = mask.mean(dim=(1, 2, 3), keepdim=True)
    shrunk = mask * (lam / mean)
    grown = 1 - (1 - mask) * ((1 - lam) / (1 - mean))
    return torch.where(mean > lam, shrunk, grown)
