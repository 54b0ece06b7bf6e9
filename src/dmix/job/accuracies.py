"""Top-1 and top-5 accuracy of each of a method's predictions on batches of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dmix.engine.evaluate import Batches, predictions
from dmix.engine.method import Method

TOP = 5


@dataclass(frozen=True)
class Accuracy:
    """Of `images` images, those whose class is the first, and among the first five, of a prediction."""

    images: int
    first: int
    among: int

    @property
    def top1(self) -> float:
        """Top-1 accuracy in percent, by the arithmetic of a run's own evaluations."""
        return 100.0 * self.first / self.images

    @property
    def top5(self) -> float:
        """Top-5 accuracy in percent; of fewer classes than five, all of them."""
        return 100.0 * self.among / self.images


@torch.no_grad()
def accuracies(method: Method, batches: Batches) -> dict[str, Accuracy]:
    """Return the accuracy of each of the method's predictions, by name, in evaluation mode.

    Crops are treated as by `dmix.engine.evaluate.top1`, and the prediction is the same argmax.
    """
    method.eval()
    first: dict[str, Tensor] = {}
    among: dict[str, Tensor] = {}
    images = 0
    for pixels, classes in batches:
        images += len(classes)
        for name, logits in predictions(method, batches.view, pixels).items():
            best = logits.topk(min(TOP, logits.shape[1]), dim=1).indices
            first[name] = first.get(name, 0) + (logits.argmax(1) == classes).sum()
            among[name] = among.get(name, 0) + (best == classes.unsqueeze(1)).any(1).sum()
    return {name: Accuracy(images, int(hits), int(among[name])) for name, hits in first.items()}
