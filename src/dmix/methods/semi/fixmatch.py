"""FixMatch (Sohn et al., 2020): confident pseudo-classes of weak views for strong ones."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch import Tensor

from dmix.engine.method import Ingredients
from dmix.methods.addons.pseudo import confident, pseudo_labels
from dmix.methods.semi.consistency import Consistency, Lesson
from dmix.part import part


@part
class FixMatch(Consistency):
    """Add the cross-entropy of strong views with the pseudo-classes of the weak ones.

    Settings: `threshold` the least confidence of a row that counts; `weight` of the addition.
    """

    def __init__(
        self, ingredients: Ingredients, *, threshold: Annotated[float, Ge(0)], weight: Annotated[float, Ge(0)]
    ) -> None:
        super().__init__(ingredients, weight)
        self.threshold = threshold

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return the likeliest classes, and which of them reach the threshold."""
        del index
        return confident_classes(weak, self.threshold)


def confident_classes(weak: Tensor, threshold: float) -> Lesson:
    """Return the likeliest classes of logits (N, C), and which of them reach the threshold."""
    found = pseudo_labels(weak)
    return Lesson(found.classes, confident(found.confidence, threshold))
