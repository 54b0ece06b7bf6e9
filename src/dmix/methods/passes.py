"""Forward passes of several batches, together or separately."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dmix.backbones.frozen_statistics import frozen_statistics


def together(encoder: nn.Module, batches: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the features of each batch from one forward pass, so with common batch-norm statistics.

    Parameters
    ----------
    batches: (B_i, 3, H, W), of any sizes; their features are (B_i, d).
    """
    features: Tensor = encoder(torch.cat(list(batches)) if len(batches) > 1 else batches[0])
    return features.split_with_sizes([len(batch) for batch in batches])


def apart(encoder: nn.Module, images: Tensor, *, freeze: bool) -> Tensor:
    """Return the features (B, d) of one batch, with its own batch-norm statistics.

    Parameters
    ----------
    freeze: whether the pass does not update the running statistics.
    """
    with frozen_statistics(encoder, freeze):
        features: Tensor = encoder(images)
    return features
