"""Batches of two endless streams: labelled images, and unlabelled images (whose labels are hidden)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class Views:
    """One stream's samples of a step, each in one or more augmented views; all on the device.

    Attributes
    ----------
    images: for each view float32 (B, 3, H, W), normalised, channels_last in memory.
    labels: int64 (B,); all -1 in an unlabelled stream.
    index: int64 (B,), the samples' indices in the split.
    """

    images: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor


@dataclass(frozen=True, eq=False)
class TwoStreamBatch:
    """One step's samples of both streams; `unlabelled` is None if the method does not use it."""

    labelled: Views
    unlabelled: Views | None


class Stream(Protocol):
    """The samples of a stream by step number; it has no state."""

    images_per_step: int

    def batch(self, step: int) -> Views:
        """Return the samples of `step`, counted from 0."""
        ...


class TwoStreamLoader:
    """The batches of a run on two streams, by step number. No epoch is defined."""

    steps_per_epoch = 0

    def __init__(self, labelled: Stream, unlabelled: Stream | None) -> None:
        self._labelled = labelled
        self._unlabelled = unlabelled
        self.images_per_step = labelled.images_per_step + (unlabelled.images_per_step if unlabelled else 0)

    def batch(self, step: int) -> TwoStreamBatch:
        """Return both streams' samples of `step`."""
        labelled = self._labelled.batch(step)
        if self._unlabelled is None:
            return TwoStreamBatch(labelled, None)
        drawn = self._unlabelled.batch(step)
        return TwoStreamBatch(labelled, replace(drawn, labels=torch.full_like(drawn.labels, NO_LABEL)))
