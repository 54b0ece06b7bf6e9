"""Streams of images on disk: decoded once for all views, augmented in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor

from dmix.data.augment.contract import ImageAugment
from dmix.data.loading import epochs
from dmix.data.loading.loader import Normaliser
from dmix.data.loading.sampling import Drawn, Ints, Sampler
from dmix.data.loading.stream import BATCHES_AHEAD, CHUNK, Images
from dmix.data.loading.two_streams import Views
from dmix.data.loading.workers import ordered
from dmix.data.send import to_device


class DiskViews:
    """Samples by step number, each in one view for each of `augments`.

    What an image looks like is a function of (seed, use of the sample, view) alone: there is no state to
    save, and results depend neither on the number of workers nor on where a run was resumed.

    Parameters
    ----------
    split: all images. sampler: which of them a step has. augments: one for each view.
    mean, std: per channel, of pixels scaled to 0..1.
    seed: 0 or more. workers: processes beside this one; with 0, this process does it all.
    """

    def __init__(
        self,
        split: Images,
        sampler: Sampler,
        augments: Sequence[ImageAugment],
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
        device: torch.device,
        workers: int,
    ) -> None:
        self.images_per_step = batch_size
        self._sampler = sampler
        self._work = _Made(split, tuple(augments), seed)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._normalise = Normaliser(mean, std, device)
        self._workers = workers
        self._parts: Iterator[Tensor] = iter(())
        self._next = -1

    def batch(self, step: int) -> Views:
        """Return the samples of `step`, counted from 0.

        Raises
        ------
        DmixError: an image is damaged or cannot be read.
        """
        drawn, device = self._sampler(step), self._labels.device
        chunks = -(-len(drawn.index) // CHUNK)
        if step != self._next:
            self._parts = ordered(
                self._work,
                _tasks(self._sampler, step),
                workers=self._workers,
                ahead=BATCHES_AHEAD * chunks,
                pin=device.type == "cuda",
            )
        self._next = -1  # until the batch is whole: after an error, everything starts anew
        made = [part.to(device, non_blocking=True) for part in islice(self._parts, chunks)]
        self._next = step + 1
        views = torch.cat(made).permute(1, 0, 4, 2, 3).unbind(0)
        index = to_device(drawn.index, device)
        return Views(tuple(self._normalise(view) for view in views), self._labels[index], index)


@dataclass(frozen=True)
class _Made:
    """What worker processes do: a chunk's images, uint8 (n, views, S, S, 3)."""

    split: Images
    augments: tuple[ImageAugment, ...]
    seed: int

    def __call__(self, task: tuple[Ints, Ints]) -> Tensor:
        made = [
            self._views(index, (use[0], use[1]))
            for index, use in zip(task[0].tolist(), task[1].tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(made))

    def _views(self, index: int, use: tuple[int, int]) -> np.ndarray:
        image = self.split.image(index)
        return np.stack(
            [
                augment(image, epochs.view_rng(self.seed, use, view))
                for view, augment in enumerate(self.augments)
            ]
        )


def _tasks(sampler: Sampler, first: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the chunks of all steps from `first` on: places and uses of their samples."""
    for step in count(first):
        drawn: Drawn = sampler(step)
        for start in range(0, len(drawn.index), CHUNK):
            yield drawn.index[start : start + CHUNK], drawn.use[start : start + CHUNK]
