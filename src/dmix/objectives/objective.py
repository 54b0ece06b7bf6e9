"""What an objective is: a pure function of logits and a pair of labels, one loss per row."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class Objective(Protocol):
    """(logits (N, C), y_a (N,), y_b (N,), lam (N,)) -> losses (N,). Reducing them is the method's."""

    def __call__(self, logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> Tensor:
        """Return the loss of every row."""
        ...


class ClassTerms(NamedTuple):
    """The loss of every row, taken apart by the class that a term teaches.

    The columns are those of y_a and y_b; the loss is mixed.sum(1) + weight * decoupled.sum(1).

    Attributes
    ----------
    mixed: (N, 2), terms that are weighted by the classes' shares.
    decoupled: (N, 2), terms that are not (section 3.1); None where an objective has none.
    weight: of the decoupled terms, at least 0.
    """

    mixed: Tensor
    decoupled: Tensor | None = None
    weight: float = 0.0


class ByClass(Protocol):
    """The function `class_terms` beside an objective, of the same arguments and settings.

    An objective whose terms belong to one class each has one in its module. The asymmetrical strategy
    (section 3.2) keeps the decoupled term of the labelled class alone, so only such an objective can be that
    of an add-on. The others say why not in `NO_CLASS_TERMS`, a string constant of their module; both are read
    from the source, without importing it (`dmix.grid.parts`).
    """

    def __call__(self, logits: Tensor, y_a: Tensor, y_b: Tensor, lam: Tensor) -> ClassTerms:
        """Return the terms of every row."""
        ...
