"""What an objective is: a pure function of logits and a pair of labels, one loss per row."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """(logits (N, C), y_a (N,), y_b (N,), lam (N,)) -> losses (N,). Reducing them is the task's."""

    def __call__(self, logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
        """Return the loss of every row."""
        ...
