"""Streams of images on disk: decoded once for all views, augmented in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import torch
from torch import Tensor

from dmix.data.augment.contract import ImageAugment
from dmix.data.augment.resize import Image
from dmix.data.loading import epochs
from dmix.data.loading.chunks import Images, StepImages, chunk_slices
from dmix.data.loading.kept import Kept
from dmix.data.loading.loader import Normaliser
from dmix.data.loading.sampling import Ints, Sampler
from dmix.data.loading.two_streams import Views
from dmix.data.send import to_device


class DiskViews:
    """Batches by step number; each sample has one view per augmentation.

    A view is a function of (seed, the sample's random key, number of the view) alone: there is no state to
    save, and results depend neither on the number of workers nor on where a run was resumed.

    Parameters
    ----------
    split: all images. sampler: which of them a step has. augments: one per view.
    mean, std: per channel, of pixels scaled to 0..1.
    seed: 0 or more. workers: processes beside this one; with 0, this process makes the images.
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
        work = _Chunk(Kept(split.image), tuple(augments), seed)
        self._images = StepImages(work, partial(_tasks, sampler), workers, device)
        self._labels = torch.from_numpy(split.labels).to(device)
        self._normalise = Normaliser(mean, std, device)

    def batch(self, step: int) -> Views:
        """Return the samples of `step`, counted from 0.

        Raises
        ------
        DmixError: an image is damaged or cannot be read.
        """
        samples, device = self._sampler(step), self._labels.device
        images = self._images.batch(step, len(samples.index)).permute(1, 0, 4, 2, 3)
        index = to_device(samples.index, device)
        return Views(tuple(self._normalise(view) for view in images.unbind(0)), self._labels[index], index)


@dataclass(frozen=True)
class _Chunk:
    """The work of a worker process: all views of a chunk, uint8 (n, views, S, S, 3)."""

    image: Callable[[int], Image]
    augments: tuple[ImageAugment, ...]
    seed: int

    def __call__(self, task: tuple[Ints, Ints]) -> Tensor:
        indices, keys = task
        made = [
            self._views(index, (key[0], key[1]))
            for index, key in zip(indices.tolist(), keys.tolist(), strict=True)
        ]
        return torch.from_numpy(np.stack(made))

    def _views(self, index: int, key: tuple[int, int]) -> np.ndarray:
        image = self.image(index)
        return np.stack(
            [
                augment(image, epochs.view_rng(self.seed, key, view))
                for view, augment in enumerate(self.augments)
            ]
        )


def _tasks(sampler: Sampler, first: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the chunks of all steps from `first` on: indices and random keys of their samples."""
    for step in count(first):
        samples = sampler(step)
        for chunk in chunk_slices(len(samples.index)):
            yield samples.index[chunk], samples.rng_key[chunk]
