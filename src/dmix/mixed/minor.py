"""What a network says of the two classes of a mixed image, by the weight of the smaller one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from dmix.mixed.record import SHARES, AtShare
from dmix.policies.policy import Mixed

STEPS = 2 * (len(SHARES) - 1)
"""Widths of a bin in a weight of 1."""


def minor_sums(mixed: Mixed, logits: Tensor) -> Tensor:
    """Return sums over the mixed images of two classes in each bin of the minor class's weight.

    The result is (bins, 6), float64 on the device of the logits; the columns are pairs, those with both
    classes ranked first and second, and the sums of weight, mass, margin and share error (`AtShare`). Where
    both classes weigh the same, the partner's is the minor one. With two classes in all margins are NaN.

    Parameters
    ----------
    logits: (N, C) of the mixed images, C >= 2.
    """
    z, own = logits.double(), mixed.lam.double()
    pair = torch.stack([mixed.y_a, mixed.y_b], 1)
    weight = torch.minimum(own, 1 - own)
    minor = torch.where(own < 0.5, mixed.y_a, mixed.y_b).unsqueeze(1)
    others = z.scatter(1, pair, -math.inf).logsumexp(1)
    margin = z.gather(1, minor).squeeze(1) - others
    mass = z.softmax(1).gather(1, pair).sum(1)
    z_a, z_b = z.gather(1, pair).unbind(1)
    error = ((z_a - z_b).sigmoid() - own).abs()  # p_a / (p_a + p_b) is a sigmoid
    columns = torch.stack(
        [torch.ones_like(own), _ranked_first(logits, pair).double(), weight, mass, _finite(margin), error], 1
    )
    counted = (mixed.y_a != mixed.y_b).unsqueeze(1)
    bins = (weight * STEPS).round().unsqueeze(1) == torch.arange(len(SHARES), device=z.device)
    # A product of matrices adds in a fixed order, also on a GPU.
    return (bins & counted).double().T @ columns


def _ranked_first(logits: Tensor, pair: Tensor) -> Tensor:
    """Return whether the two highest logits are those of the pair, (N,); ties go to the lower class."""
    highest = logits.argsort(dim=1, descending=True, stable=True)[:, :2]
    return (highest.sort(1).values == pair.sort(1).values).all(1)


def _finite(margin: Tensor) -> Tensor:
    """Return the margins with NaN where there is no class outside of the pair."""
    return margin.masked_fill(margin.isposinf(), math.nan)


def at_shares(rows: Sequence[Sequence[float]]) -> tuple[AtShare, ...]:
    """Return the measures of each bin that has mixed images, from the sums of `minor_sums`."""
    found = []
    for share, (pairs, top2, *sums) in zip(SHARES, rows, strict=True):
        if pairs:
            weight, mass, margin, error = (total / pairs for total in sums)
            found.append(
                AtShare(
                    share=share,
                    pairs=int(pairs),
                    top2=int(top2),
                    weight=min(0.5, weight),  # a mean may exceed its largest value by rounding
                    mass=min(1.0, mass),
                    margin=None if math.isnan(margin) else margin,
                    share_error=error,
                )
            )
    return tuple(found)
