"""FlexMatch's confidence thresholds, one for each class.

Everything stays on the device: no count, mask or index is copied to the host, and no shape depends on them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.methods.addons.pseudo import PseudoLabels

UNUSED = -1  # entry of an image that has not been predicted confidently yet


def flexible(last: Tensor, classes: int, threshold: float, *, warm_up: bool) -> Tensor:
    """Return FlexMatch's threshold of each class, float64 (C,).

    It is threshold * beta / (2 - beta), where beta is the number of images confidently predicted as this
    class, divided by that of the most frequent class. With `warm_up`, the unused images count as a class in
    this maximum, so that thresholds are low as long as most images are unused.

    Parameters
    ----------
    last: int64 (images,), the class that each image was last predicted confidently to be, or `UNUSED`.
    """
    # not torch.bincount, which makes the host wait for the largest value
    counts = torch.zeros(classes + 1, dtype=torch.int64, device=last.device)
    counts = counts.scatter_add_(0, last - UNUSED, torch.ones_like(last)).double()
    unused, used = counts[0], counts[1:]
    most = used.max()
    if warm_up:
        most = torch.maximum(most, unused)
    beta = used / most.clamp(min=1)  # nothing is used yet: 0
    return threshold * beta / (2 - beta)


def recorded(last: Tensor, index: Tensor, found: PseudoLabels, threshold: float) -> Tensor:
    """Return `last` updated with the classes of the rows whose confidence reaches the fixed `threshold`.

    Parameters
    ----------
    index: int64 (N,), the rows' images. An image may occur several times, being drawn with replacement; then
        the last of its confident rows counts, on every device.
    """
    row = torch.arange(len(index), device=index.device)
    row = torch.where(found.confidence >= threshold, row, UNUSED)
    newest = torch.full_like(last, UNUSED).scatter_reduce_(0, index, row, "amax")
    return torch.where(newest >= 0, found.classes[newest.clamp(min=0)], last)
