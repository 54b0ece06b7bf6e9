"""The queue of pseudo group contrast: the last keys of every class."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def enqueue(slots: Tensor, pointers: Tensor, keys: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the queue and its pointers after writing key after key, in the order of the rows.

    A key goes to its class's pointer, which moves on by one and wraps. New tensors are returned: a loss
    that has read the old ones can still be differentiated.

    Parameters
    ----------
    slots: (C, D, d). pointers: (C,) int64 in 0..D-1. keys: (B, d), detached here. classes: (B,) int64.
    """
    depth = slots.shape[1]
    before = (classes.unsqueeze(1) == classes).tril(-1).sum(1)  # rows of the same class before each row
    place = (pointers[classes] + before) % depth
    target = classes * depth + place
    # Of several rows for one slot the last one stays. All of them write it, so that their order is no matter.
    rows = torch.arange(len(keys), device=keys.device)
    last = torch.where(target.unsqueeze(1) == target, rows, -1).amax(1)
    written = slots.index_put((classes, place), keys.detach().to(slots.dtype)[last])
    return written, pointers.index_add(0, classes, torch.ones_like(classes)) % depth


class ClassQueue(nn.Module):
    """The queue as buffers, which are in checkpoints: random unit vectors at the start.

    Attributes
    ----------
    slots: (C, D, d) float32, rows of length 1. pointers: (C,) int64, where the next key of a class goes.
    """

    slots: Tensor
    pointers: Tensor

    def __init__(self, classes: int, depth: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = torch.randn(classes, depth, width, generator=generator, device=generator.device)
        self.register_buffer("slots", functional.normalize(drawn, dim=2))
        self.register_buffer("pointers", torch.zeros(classes, dtype=torch.int64, device=drawn.device))

    def push(self, keys: Tensor, classes: Tensor) -> None:
        """Write keys (B, d) of the classes (B,), in the order of the rows."""
        self.slots, self.pointers = enqueue(self.slots, self.pointers, keys, classes)
