"""The contract of an evaluation: what it is handed of a finished run, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from dmix.data.loading import feed
from dmix.data.sets.dataset import AnySplit, Dataset
from dmix.engine.evaluate import Batches
from dmix.engine.method import Method
from dmix.engine.parts import load_part
from dmix.evaluation_record import EvaluationRecord
from dmix.grid.schema import Params
from dmix.grid.spec import RunSpec
from dmix.job.restored import restored

Kept = TypeVar("Kept", bound=EvaluationRecord)


@dataclass(frozen=True)
class FinishedRun:
    """A finished run whose weights and data are those of its record.

    Attributes
    ----------
    weights: content of weights.safetensors. reading: how images on disk are read; it changes no number.
    """

    spec: RunSpec
    params: Params
    dataset: Dataset
    weights: bytes
    device: torch.device
    reading: feed.ReadOptions

    def network(self) -> Method:
        """Return the run's method with its final weights, on `device`."""
        return restored(self.spec, self.dataset, self.device, self.reading, self.weights).method

    def batches(self, split: AnySplit, size: int) -> Batches:
        """Return images in batches of `size`, in the run's test-time view, without augmentation."""
        recipe = self.spec.settings["recipe"]
        return feed.evaluation(
            split,
            load_part("view", self.spec.settings["view"]),
            feed.ReadOptions(self.reading.workers),  # each image is read once, which no cache makes faster
            batch_size=size,
            mean=recipe["mean"],
            std=recipe["std"],
            device=self.device,
        )


@dataclass(frozen=True)
class Evaluation(Generic[Kept]):
    """What the constant EVALUATION of a module in dmix.evaluations says.

    Attributes
    ----------
    record: class of the result. measure: returns the fields that `record` adds to `EvaluationRecord`.
    told: returns the most important numbers, in words. packages: that compute them, besides those of a run.
    """

    record: type[Kept]
    measure: Callable[[FinishedRun], Mapping[str, Any]]
    told: Callable[[Kept], str]
    packages: tuple[str, ...] = ()
