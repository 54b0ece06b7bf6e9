"""The passes of MixMatch and ReMixMatch: rows of all kinds are dealt out among several."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmix.methods.passes import apart
from dmix.methods.semi.interleave import interleave


def dealt_out(encoder: nn.Module, rows: Tensor, group: int) -> Tensor:
    """Return the features (N, d) of rows (N, 3, H, W) in passes of `group` rows, of all kinds each.

    The groups are interleaved; the first one alone moves the running statistics (MixMatch).

    Parameters
    ----------
    group: a divisor of N.
    """
    first, *others = interleave(rows.chunk(len(rows) // group))
    features = [apart(encoder, first, freeze=False)]
    features += [apart(encoder, other, freeze=True) for other in others]
    return torch.cat(interleave(features))
