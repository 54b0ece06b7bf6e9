"""Which unlabelled rows count: a fixed threshold (FixMatch), or one per class that is learned (FlexMatch).

Everything stays on the device: no count, mask or index is read back, and no shape depends on them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.methods.addons.pseudo import PseudoLabels

UNUSED = -1  # of an image that has not been predicted confidently yet


def flexible(last: Tensor, classes: int, threshold: float, *, warm_up: bool) -> Tensor:
    """Return FlexMatch's threshold of each class, float64 (C,).

    A class that is predicted confidently for a share beta of what the most frequent one is has the threshold
    times beta / (2 - beta). With `warm_up`, images that are unused count as one more class in "the most
    frequent", so that thresholds are low as long as most images are.

    Parameters
    ----------
    last: int64 (images,), the class that each image was last predicted confidently to be, or `UNUSED`.
    """
    # counted by adding, because torch.bincount looks for the largest value, which the host then waits for
    counts = torch.zeros(classes + 1, dtype=torch.int64, device=last.device)
    counts = counts.scatter_add_(0, last - UNUSED, torch.ones_like(last)).double()
    unused, used = counts[0], counts[1:]
    most = used.max()
    if warm_up:
        most = torch.maximum(most, unused)
    beta = used / most.clamp(min=1)  # nothing is used yet: 0
    return threshold * beta / (2 - beta)


def recorded(last: Tensor, index: Tensor, found: PseudoLabels, threshold: float) -> Tensor:
    """Return `last` with the classes of those rows whose confidence reaches `threshold`, the fixed one.

    Parameters
    ----------
    index: int64 (N,), the rows' images. An image may come several times, as they are drawn with replacement:
        then the last of its confident rows counts, on every device.
    """
    row = torch.arange(len(index), device=index.device)
    row = torch.where(found.confidence >= threshold, row, UNUSED)
    newest = torch.full_like(last, UNUSED).scatter_reduce_(0, index, row, "amax")
    return torch.where(newest >= 0, found.classes[newest.clamp(min=0)], last)
