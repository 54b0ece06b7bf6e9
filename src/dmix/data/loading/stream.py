"""Batches from images on disk: decoded and augmented in worker processes, normalised on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.data.augment.contract import ImageAugment
from dmix.data.augment.resize import Image
from dmix.data.loading import chunks, epochs
from dmix.data.loading.chunks import Images, StepImages
from dmix.data.loading.kept import Kept
from dmix.data.loading.loader import Batch, Normaliser
from dmix.data.views.contract import View

Indices = npt.NDArray[np.int64]


class StreamLoader:
    """Training batches by step number; the counterpart of `ResidentLoader` for images on disk.

    The order of epoch e is a function of (seed, e), a sample's augmentation one of (seed, e, index): there is
    no state to save, results do not depend on the number of workers, and a resumed run starts at its step
    at once. Steps may be asked for in any order, but only those that follow one another are made ahead.

    Parameters
    ----------
    split: the samples.
    augment: applied to each image in a worker process.
    mean, std: per channel, of pixels scaled to 0..1.
    seed: 0 or more.
    workers: processes beside this one; with 0, this process makes the images.
    rows: which rows of each batch are made and returned; for a batch shared by several processes.

    Raises
    ------
    DmixError: the split does not fill one batch.
    """

    def __init__(
        self,
        split: Images,
        augment: ImageAugment,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
        device: torch.device,
        workers: int,
        rows: slice = slice(None),
    ) -> None:
        self.steps_per_epoch = epochs.steps_per_epoch(len(split), batch_size)
        self.images_per_step = batch_size
        # two epochs: that of the batch, and that of the batches made ahead
        order = lru_cache(maxsize=2)(partial(epochs.order, len(split), seed))
        self._plan = _Plan(order, self.steps_per_epoch, batch_size, rows)
        work = _Augmented(Kept(split.image), augment, seed)
        self._images = StepImages(work, self._plan.tasks, workers, device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._normalise = Normaliser(mean, std, device)

    def batch(self, step: int) -> Batch:
        """Return the batch of `step`, counted from 0 over the whole run; a last partial batch is dropped.

        Raises
        ------
        DmixError: an image of the batch is damaged or cannot be read.
        """
        indices = self._plan.indices(step)
        images = self._images.batch(step, len(indices)).permute(0, 3, 1, 2)
        index = torch.from_numpy(indices).to(self._labels.device)
        return Batch(self._normalise(images), self._labels[index], index)


class StreamEvaluation:
    """All samples of a split in order, as (images, labels) batches; the last one may be smaller.

    Images are float32 (B, 3, S, S), normalised, channels_last; labels int64 (B,). Iterate as often as
    needed: worker processes are started each time, and end with the last batch.

    Parameters
    ----------
    split: the samples.
    view: applied to each image in a worker process; gives the crops of the result to evaluate.
    mean, std: per channel, of pixels scaled to 0..1.
    workers: processes beside this one; with 0, this process makes the images.
    share: which batches are made and returned; for an evaluation shared by several processes.
    """

    def __init__(
        self,
        split: Images,
        view: View,
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        workers: int,
        share: slice = slice(None),
    ) -> None:
        self.view = view
        self._work = _Viewed(Kept(_View(split, view)))
        self._labels = torch.from_numpy(split.labels).to(device)
        self._batch_size = batch_size
        self._batches = [
            slice(start, start + batch_size) for start in range(0, len(split), batch_size)[share]
        ]
        self._normalise = Normaliser(mean, std, device)
        self._workers = workers

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        everything, device = np.arange(len(self._labels)), self._labels.device
        tasks = (task for batch in self._batches for task in _chunks(everything[batch]))
        made = chunks.start(self._work, tasks, self._batch_size, self._workers, device)
        for batch in self._batches:
            labels = self._labels[batch]
            images = chunks.next_batch(made, len(labels), device).permute(0, 3, 1, 2)
            yield self._normalise(images), labels


@dataclass(frozen=True)
class _Plan:
    """Which samples each step trains on.

    Separate from the loader: tasks that refer to the loader would keep its processes alive.
    """

    order: Callable[[int], Indices]
    steps_per_epoch: int
    batch_size: int
    rows: slice

    def indices(self, step: int) -> Indices:
        """Return the indices of a step's samples."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[place * self.batch_size : (place + 1) * self.batch_size][self.rows]

    def tasks(self, step: int) -> Iterator[tuple[int, Indices]]:
        """Yield epoch and indices of each chunk, from `step` on, without end."""
        while True:
            for chunk in _chunks(self.indices(step)):
                yield step // self.steps_per_epoch, chunk
            step += 1


@dataclass(frozen=True)
class _Augmented:
    """The work of a worker process in training: a chunk of augmented images, uint8 (n, S, S, 3)."""

    image: Callable[[int], Image]
    augment: ImageAugment
    seed: int

    def __call__(self, task: tuple[int, Indices]) -> Tensor:
        epoch, indices = task
        made = [
            self.augment(self.image(index), epochs.sample_rng(self.seed, epoch, index))
            for index in indices.tolist()
        ]
        return torch.from_numpy(np.stack(made))


@dataclass(frozen=True)
class _View:
    """Returns one test image as it is evaluated, uint8 (S, S, 3)."""

    split: Images
    view: View

    def __call__(self, index: int) -> Image:
        return self.view(self.split.image(index))


@dataclass(frozen=True)
class _Viewed:
    """The work of a worker process in evaluation: a chunk of test images, uint8 (n, S, S, 3)."""

    image: Callable[[int], Image]

    def __call__(self, indices: Indices) -> Tensor:
        return torch.from_numpy(np.stack([self.image(index) for index in indices.tolist()]))


def _chunks(indices: Indices) -> Iterator[Indices]:
    for part in chunks.chunk_slices(len(indices)):
        yield indices[part]
