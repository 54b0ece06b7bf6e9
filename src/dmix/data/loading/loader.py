"""Batches of images that stay on the device: shuffled, augmented and normalised there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmix.data.augment.contract import Augment
from dmix.data.loading import epochs
from dmix.data.sets.dataset import Split
from dmix.data.views.contract import View
from dmix.data.views.unchanged import Unchanged


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's samples, on the device.

    Parameters
    ----------
    images: float32 (B, 3, H, W), normalised, channels_last in memory.
    labels: int64 (B,).
    index: int64 (B,), indices of the samples in the split.
    """

    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: slice) -> Batch:
        """Return a batch of some of the rows."""
        return Batch(self.images[rows], self.labels[rows], self.index[rows])


class Normaliser:
    """Computes (x / 255 - mean) / std per channel, in float32 and channels_last memory."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, dtype=torch.float32, device=device).view(1, -1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """Turn uint8 (B, 3, H, W) into float32 (B, 3, H, W)."""
        scaled = images.to(torch.float32, memory_format=torch.channels_last).div_(255)
        return scaled.sub_(self._mean).div_(self._std)


class ResidentLoader:
    """Training batches by step number.

    Order and augmentation of epoch e are functions of (seed, e) alone, drawn for the whole epoch at
    once: there is no state to save, steps may be asked for in any order, and within an epoch the host
    sends nothing to the device.

    Parameters
    ----------
    split: the samples; they are copied to the device once, as uint8.
    augment: drawn per sample and epoch, applied to uint8 batches.
    mean, std: per channel, of pixels scaled to 0..1.
    seed: 0 or more.
    rows: which rows of each batch are returned; for a batch shared by several processes.

    Raises
    ------
    DmixError: the split does not fill one batch.
    """

    def __init__(
        self,
        split: Split,
        augment: Augment,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
        device: torch.device,
        rows: slice = slice(None),
    ) -> None:
        self.steps_per_epoch = epochs.steps_per_epoch(len(split), batch_size)
        self.images_per_step = batch_size
        self._images = torch.from_numpy(split.images).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._augment = augment
        self._batch_size = batch_size
        self._rows = rows
        self._normalise = Normaliser(mean, std, device)
        self._seed = seed
        self._epoch = -1
        self._order = self._draws = torch.empty(0)

    def batch(self, step: int) -> Batch:
        """Return the batch of `step`, counted from 0 over the whole run; a last partial batch is dropped."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._enter(epoch)
        index = self._order[place * self._batch_size : (place + 1) * self._batch_size][self._rows]
        images = self._augment.apply(self._images[index], self._draws[index])
        return Batch(self._normalise(images), self._labels[index], index)

    def _enter(self, epoch: int) -> None:
        """Draw an epoch's order and augmentation and send both to the device."""
        device = self._images.device
        n, _, height, width = self._images.shape
        draws = self._augment.draw(n, (height, width), epochs.augment_rng(self._seed, epoch))
        self._order = torch.from_numpy(epochs.order(n, self._seed, epoch)).to(device)
        self._draws = torch.from_numpy(draws).to(device)
        self._epoch = epoch


class EvaluationSet:
    """All samples of a split in order, as (images, labels) batches; the last one may be smaller.

    Images are float32 (B, 3, H, W), normalised, channels_last; labels int64 (B,). The split is copied
    to the device once, as uint8; iterate as often as needed.

    Parameters
    ----------
    share: which batches are returned; for an evaluation shared by several processes.
    view: gives the crops to evaluate; nothing else of it is applied to the images.
    """

    def __init__(
        self,
        split: Split,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        share: slice = slice(None),
        view: View = Unchanged(),  # noqa: B008 - has no state
    ) -> None:
        self.view = view
        self._images = torch.from_numpy(split.images).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._batches = [
            slice(start, start + batch_size) for start in range(0, len(split), batch_size)[share]
        ]
        self._normalise = Normaliser(mean, std, device)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._batches:
            yield self._normalise(self._images[batch]), self._labels[batch]
