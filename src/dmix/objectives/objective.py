"""The contract of objectives: a pure function of logits, two labels and lam that returns a loss per row."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Objective(Protocol):
    """(logits (N, C), y_a (N,), y_b (N,), lam (N,)) -> losses (N,); the method reduces them."""

    def __call__(self, logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
        """Return the loss of every row."""
        ...


class ClassTerms(NamedTuple):
    """The terms of every row's loss by class: columns for y_a and y_b.

    The loss is mixed.sum(1) + weight * decoupled.sum(1).

    Attributes
    ----------
    mixed: (N, 2), terms weighted by lam and 1 - lam.
    decoupled: (N, 2), decoupled terms (section 3.1); None if the objective has none.
    weight: of the decoupled terms, at least 0.
    """

    mixed: Tensor
    decoupled: Tensor | None = None
    weight: float = 0.0


class ByClass(Protocol):
    """The function `class_terms` in the module of an objective, with the same arguments and settings.

    An objective has one if each of its terms belongs to one class. Only then can it be used in an add-on: the
    asymmetrical strategy (section 3.2) keeps the decoupled term of the labelled class only. Any other states
    the reason in `NO_CLASS_TERMS`, a string constant of its module. Both are read from the source without
    importing it (`dmix.grid.parts`).
    """

    def __call__(self, logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> ClassTerms:
        """Return the terms of every row."""
        ...
