"""UDA (Xie et al., 2020) as in TorchSSL: strong views learn the sharpened distributions of weak ones."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt
from torch import Tensor

from dmix.engine.method import Ingredients, Step
from dmix.methods.addons.pseudo import confident, pseudo_labels
from dmix.methods.semi.consistency import Consistency, Lesson
from dmix.methods.semi.ramps import signal_annealing
from dmix.methods.semi.row_losses import annealed_ce
from dmix.methods.semi.targets import probabilities, sharpen
from dmix.part import part


@part
class UDA(Consistency):
    """Add the cross-entropy of strong views with the sharpened distributions of the weak ones.

    It differs from the published Kullback-Leibler divergence by terms without a gradient.

    Settings: `threshold`, minimum confidence, before sharpening, of a row that counts; `temperature` of the
    sharpening; `weight` of this loss; `annealing`, schedule of the confidence above which labelled rows do
    not count (`signal_annealing`), "none" counts all.
    """

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        threshold: Annotated[float, Ge(0)],
        temperature: Annotated[float, Gt(0)],
        weight: Annotated[float, Ge(0)],
        annealing: Literal["none", "linear", "exp", "log"] = "none",
    ) -> None:
        super().__init__(ingredients, weight)
        self.threshold, self.temperature = threshold, temperature
        self.annealing: Literal["none", "linear", "exp", "log"] = annealing

    def teach(self, weak: Tensor, index: Tensor) -> Lesson:
        """Return the sharpened distributions, and which of the unsharpened ones reach the threshold."""
        del index
        return sharpened_distributions(weak, self.threshold, self.temperature)

    def supervised(self, logits: Tensor, y: Tensor, step: Step) -> Tensor:
        """Return the cross-entropy of the labelled rows under training signal annealing, a scalar."""
        limit = signal_annealing(self.annealing, step.number / step.total, logits.shape[1])
        return annealed_ce(logits, y, limit)


def sharpened_distributions(weak: Tensor, threshold: float, temperature: float) -> Lesson:
    """Return the sharpened softmax of logits (N, C), and where the unsharpened one reaches the threshold."""
    return Lesson(
        sharpen(probabilities(weak), temperature), confident(pseudo_labels(weak).confidence, threshold)
    )
