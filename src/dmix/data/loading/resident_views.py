"""Streams of images that stay on the device, where every view of a batch is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmix.data.augment.contract import Augment
from dmix.data.loading import epochs
from dmix.data.loading.loader import Normaliser
from dmix.data.loading.sampling import Sampler
from dmix.data.loading.two_streams import Views
from dmix.data.send import to_device
from dmix.data.sets.dataset import Split


@dataclass(frozen=True, eq=False)
class Resident:
    """A split on the device, shared by all streams that read it.

    Attributes
    ----------
    images: uint8 (N, 3, H, W). labels: int64 (N,).
    """

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, split: Split, device: torch.device) -> Resident:
        """Copy a split to the device."""
        return cls(torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device))


class ResidentViews:
    """Batches by step number; each sample has one view per augmentation. Counterpart of `DiskViews`.

    View v of a step is drawn for all of its samples at once, from a generator that is a function of (seed,
    step, v) alone: there is no state to save, and a step depends neither on the steps before it nor on where
    a run was resumed. The host sends a step's indices and draws to the device without waiting for it.

    Parameters
    ----------
    resident: all images. sampler: which of them a step has. augments: one per view.
    mean, std: per channel, of pixels scaled to 0..1.
    seed: 0 or more.
    """

    def __init__(
        self,
        resident: Resident,
        sampler: Sampler,
        augments: Sequence[Augment],
        *,
        batch_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        seed: int,
    ) -> None:
        self.images_per_step = batch_size
        self._resident = resident
        self._sampler = sampler
        self._augments = tuple(augments)
        self._normalise = Normaliser(mean, std, resident.images.device)
        self._seed = seed

    def batch(self, step: int) -> Views:
        """Return the samples of `step`, counted from 0.

        Raises
        ------
        DmixError: an augmentation does not fit the size of the images.
        """
        index = to_device(self._sampler(step).index, self._resident.images.device)
        images = self._resident.images[index]
        views = tuple(
            self._normalise(augment.apply(images, self._draws(augment, images, step, view)))
            for view, augment in enumerate(self._augments)
        )
        return Views(views, self._resident.labels[index], index)

    def _draws(self, augment: Augment, images: Tensor, step: int, view: int) -> Tensor:
        n, _, height, width = images.shape
        rng = epochs.batch_view_rng(self._seed, step, view)
        return to_device(augment.draw(n, (height, width), rng), images.device)
