"""FlexMatch (Zhang et al., 2021): FixMatch with a threshold for each class that adapts to its learning."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from dmix.data.loading.two_streams import TwoStreamLoader
from dmix.engine.method import Feeding, Ingredients
from dmix.errors import DmixError
from dmix.methods.addons.pseudo import confident, pseudo_labels
from dmix.methods.semi.consistency import Consistency, Lesson
from dmix.methods.semi.thresholds import UNUSED, flexible, recorded
from dmix.part import part


@part
class FlexMatch(Consistency):
    """Add FixMatch's cross-entropy, of the rows that reach the threshold of their pseudo-class.

    All thresholds are 0 at the start. There is no distribution alignment, which TorchSSL switches off.

    Settings: `threshold`, the highest one, and the one from which a pseudo-class is recorded; `weight` of
    this loss; `warm_up`, whether images not yet predicted confidently lower the thresholds.

    Attributes
    ----------
    last: int64 (training images,), the class each was last predicted confidently to be, or `UNUSED`.
    """

    last: Tensor

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        threshold: Annotated[float, Ge(0)],
        weight: Annotated[float, Ge(0)],
        warm_up: bool,
    ) -> None:
        super().__init__(ingredients, weight)
        assert ingredients.dataset is not None
        self.threshold, self.warm_up = threshold, warm_up
        images = len(ingredients.dataset.splits["train"])
        self.register_buffer("last", torch.full((images,), UNUSED, dtype=torch.int64))

    def loader(self, feeding: Feeding) -> TwoStreamLoader:
        """Return the two-stream loader.

        Raises
        ------
        DmixError: not all training images are in the unlabelled stream; the others would always count as not
            yet predicted.
        """
        if feeding.labels is not None and len(feeding.labels.unlabelled) != len(feeding.split):
            raise DmixError(
                "FlexMatch counts pseudo-classes over all training images, "
                f"of which {len(feeding.labels.unlabelled)} of {len(feeding.split)} are unlabelled",
                "choose labels under which every image is unlabelled too, such as balanced, in params.yaml",
            )
        return super().loader(feeding)

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return pseudo-classes and which reach their class's threshold; record those above `threshold`."""
        lesson, last = flexible_classes(
            weak, index, self.last, threshold=self.threshold, warm_up=self.warm_up
        )
        self.last.copy_(last)
        return lesson


def flexible_classes(
    weak: Tensor, index: Tensor, last: Tensor, *, threshold: float, warm_up: bool
) -> tuple[Lesson, Tensor]:
    """Return the pseudo-classes with a mask of those that reach their class's threshold, and the new `last`.

    Parameters
    ----------
    weak: (N, C) logits. index: (N,) int64. last: see `FlexMatch`; it is not changed in place.
    """
    found = pseudo_labels(weak)
    limits = flexible(last, weak.shape[1], threshold, warm_up=warm_up)
    lesson = Lesson(found.classes, confident(found.confidence, limits[found.classes]))
    return lesson, recorded(last, index, found, threshold)
