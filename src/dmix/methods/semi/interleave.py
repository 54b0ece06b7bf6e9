"""Interleaving (Berthelot et al., 2019): exchange rows between batches, so that each has all kinds of images.

In MixMatch and ReMixMatch only the first of several forward passes updates the running statistics of batch
norms. Interleaving gives that pass images of all kinds, not only labelled ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmix.methods.passes import apart


def chunks(rows: int, groups: int) -> list[int]:
    """Return the sizes of a group's chunks, one for each group; the last ones have the remaining rows."""
    least, more = divmod(rows, groups)
    return [least] * (groups - more) + [least + 1] * more


def interleave(groups: Sequence[Tensor]) -> list[Tensor]:
    """Exchange chunk i of the first group with chunk i of group i; the function is its own inverse.

    Parameters
    ----------
    groups: tensors of the same shape (B, ...).
    """
    sizes = chunks(len(groups[0]), len(groups))
    found = [list(group.split_with_sizes(sizes)) for group in groups]
    for i in range(1, len(groups)):
        found[0][i], found[i][i] = found[i][i], found[0][i]
    return [torch.cat(group) for group in found]


def dealt_out(encoder: nn.Module, rows: Tensor, group: int) -> Tensor:
    """Return the features (N, d) of rows (N, 3, H, W), from interleaved forward passes of `group` rows.

    Only the first pass updates the running statistics (MixMatch).

    Parameters
    ----------
    group: a divisor of N.
    """
    first, *others = interleave(rows.chunk(len(rows) // group))
    features = [apart(encoder, first, freeze=False)]
    features += [apart(encoder, other, freeze=True) for other in others]
    return torch.cat(interleave(features))
