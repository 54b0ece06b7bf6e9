"""Mixup of labelled and unlabelled rows, of images and of target distributions (MixMatch)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dmix.data.send import to_device
from dmix.policies.draw import draw_lam, draw_partner
from dmix.policies.policy import Draws


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows mixed with a permutation of themselves.

    Attributes
    ----------
    images: (N, 3, H, W) float. targets: (N, C) float, distributions.
    partner: (N,) int64. lam: (N,) float32 in [0.5, 1], weight of the own row.
    """

    images: Tensor
    targets: Tensor
    partner: Tensor
    lam: Tensor


def mix_with_partners(images: Tensor, targets: Tensor, partner: Tensor, lam: Tensor) -> MixedRows:
    """Return lam * row + (1 - lam) * partner for every row; for the arguments see `MixedRows`."""
    mixed = mix_rows(images, images[partner], lam)
    return MixedRows(mixed, mix_rows(targets, targets[partner], lam), partner, lam)


def mix_at_random(images: Tensor, targets: Tensor, alpha: float, draws: Draws) -> MixedRows:
    """Mix all rows by one permutation and one lam = max(l, 1 - l), l ~ Beta(alpha, alpha).

    The single lam is TorchSSL's; the original draws one for each row.

    Parameters
    ----------
    images: (N, 3, H, W) float. targets: (N, C) float. alpha: > 0.
    """
    n, device = len(images), images.device
    drawn = to_device(draw_lam(draws.host, alpha, n), device)
    partner = to_device(draw_partner(draws.host, n, derangement=False), device)
    return mix_with_partners(images, targets, partner, torch.maximum(drawn, 1 - drawn))


def mix_rows(own: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    """Return lam * own + (1 - lam) * partner, row by row.

    Parameters
    ----------
    own, partner: (N, ...) floating. lam: (N,) in [0, 1].
    """
    share = lam.to(own.dtype).view(-1, *[1] * (own.ndim - 1))
    return share * own + (1 - share) * partner
