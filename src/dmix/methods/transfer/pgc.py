"""Pseudo group contrast (Wang et al., 2021: Self-Tuning): a query against the queues of all classes."""

from __future__ import annotations

import torch
from torch import Tensor


def pseudo_group_contrast(
    queries: Tensor, keys: Tensor, classes: Tensor, slots: Tensor, *, temperature: float
) -> Tensor:
    """Return the loss per row, (B,) float32 or wider.

    Row i has 1 + D * C similarities: with its own key and with every slot of the queue. The D + 1 positives
    are its own key and the slots of its class, and the loss is the mean of -log softmax over them. This is
    the cross-entropy form; Self-Tuning's code prints KL(uniform || softmax), which is less by ln(D + 1) and
    has the same gradient. The queue is read as it is: keys of the same call are pushed afterwards.

    Parameters
    ----------
    queries, keys: (B, d), rows of length 1. Keys and slots get no gradient.
    classes: (B,) int64, labels or pseudo-classes. slots: (C, D, d), D >= 1.
    temperature: > 0, 0.07 in Self-Tuning.
    """
    n_classes, depth, width = slots.shape
    with torch.autocast(queries.device.type, enabled=False):
        q = queries if queries.dtype == torch.float64 else queries.float()
        own_key = (q * keys.detach().to(q.dtype)).sum(1, keepdim=True) / temperature
        with_slots = q @ slots.detach().to(q.dtype).view(-1, width).T / temperature
        own_slots = with_slots.view(len(q), n_classes, depth).sum(2).gather(1, classes.unsqueeze(1))
        total = torch.cat([own_key, with_slots], 1).logsumexp(1)
        return total - (own_key + own_slots).squeeze(1) / (depth + 1)
