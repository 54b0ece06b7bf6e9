"""FixMatch (Sohn et al., 2020): strong views learn the confident pseudo-classes of weak views."""

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

    Settings: `threshold`, minimum confidence of a row that counts; `weight` of this loss.
    """

    def __init__(
        self, ingredients: Ingredients, *, threshold: Annotated[float, Ge(0)], weight: Annotated[float, Ge(0)]
    ) -> None:
        super().__init__(ingredients, weight)
        self.threshold = threshold

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return the most probable classes, and which of them reach the threshold."""
        del index
        return confident_classes(weak, self.threshold)


def confident_classes(weak: Tensor, threshold: float) -> Lesson:
    """Return the most probable classes of logits (N, C), and which of them reach the threshold."""
    found = pseudo_labels(weak)
    return Lesson(found.classes, confident(found.confidence, threshold))
