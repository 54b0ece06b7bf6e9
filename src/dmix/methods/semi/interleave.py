"""Interleaving (Berthelot et al., 2019): batches of several kinds are dealt out, so that each holds them all.

MixMatch and ReMixMatch let only the first of several forward passes update the running statistics of batch
normalisation. Interleaved, that pass has seen images of all kinds, and not only labelled ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmix.methods.passes import apart


def chunks(rows: int, groups: int) -> list[int]:
    """Return the sizes of the parts of a group: equal, what remains going to the last ones."""
    least, more = divmod(rows, groups)
    return [least] * (groups - more) + [least + 1] * more


def interleave(groups: Sequence[Tensor]) -> list[Tensor]:
    """Exchange part i of the first group with part i of group i; done twice, it undoes itself.

    Parameters
    ----------
    groups: tensors of the same shape (B, ...).
    """
    sizes = chunks(len(groups[0]), len(groups))
    parts = [list(group.split_with_sizes(sizes)) for group in groups]
    for i in range(1, len(groups)):
        parts[0][i], parts[i][i] = parts[i][i], parts[0][i]
    return [torch.cat(group) for group in parts]


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
