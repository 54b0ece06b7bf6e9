"""Forward passes of several batches: all in one, or each by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmix.backbones.frozen_statistics import frozen_statistics


def together(encoder: nn.Module, parts: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the features of each batch from one pass, in which they share one set of statistics.

    Parameters
    ----------
    parts: batches (B_i, 3, H, W), of any sizes; their features are (B_i, d).
    """
    features: Tensor = encoder(torch.cat(list(parts)) if len(parts) > 1 else parts[0])
    return features.split_with_sizes([len(part) for part in parts])


def apart(encoder: nn.Module, images: Tensor, *, freeze: bool) -> Tensor:
    """Return the features (B, d) of one batch, with its own statistics, which may leave no trace."""
    with frozen_statistics(encoder, freeze):
        features: Tensor = encoder(images)
    return features
