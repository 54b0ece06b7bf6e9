"""Batches made of chunks of images, which worker processes make ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.data.augment.resize import Image
from dmix.data.loading.workers import parallel_map

# Images of one task. Worker processes share each batch, so the first batch is ready soon, and large batches
# made ahead take little memory.
CHUNK = 32
BATCHES_AHEAD = 2

Task = TypeVar("Task")


class Images(Protocol):
    """A split whose images are read one by one. Picklable and small, because worker processes get a copy."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels, int64 (N,), 0..classes-1."""
        ...

    def image(self, index: int) -> Image:
        """Return one image, uint8 (H, W, 3) RGB."""
        ...

    def __len__(self) -> int: ...


def chunk_slices(batch_size: int) -> Iterator[slice]:
    """Yield which samples of a batch each of its tasks makes."""
    for start in range(0, batch_size, CHUNK):
        yield slice(start, start + CHUNK)


def start(
    work: Callable[[Task], Tensor], tasks: Iterator[Task], batch_size: int, workers: int, device: torch.device
) -> Iterator[Tensor]:
    """Return the chunks that `work` makes of `tasks`, `BATCHES_AHEAD` batches ahead."""
    ahead = BATCHES_AHEAD * -(-batch_size // CHUNK)
    return parallel_map(work, tasks, workers=workers, ahead=ahead, pin=device.type == "cuda")


def next_batch(chunks: Iterator[Tensor], batch_size: int, device: torch.device) -> Tensor:
    """Return the next chunks as one batch on the device, uint8 (batch_size, ..., 3) as `work` makes them."""
    batch = islice(chunks, -(-batch_size // CHUNK))
    return torch.cat([chunk.to(device, non_blocking=True) for chunk in batch])


class StepImages(Generic[Task]):
    """The images of any step; only those of consecutive steps are made ahead.

    Parameters
    ----------
    work: makes a chunk of images of a task, in a worker process.
    tasks: the endless tasks from a step on. It must not refer to the loader, which would then never be
        dropped, and neither would its worker processes.
    workers: processes beside this one; with 0, this process makes the images.
    """

    def __init__(
        self,
        work: Callable[[Task], Tensor],
        tasks: Callable[[int], Iterator[Task]],
        workers: int,
        device: torch.device,
    ) -> None:
        self._work = work
        self._tasks = tasks
        self._workers = workers
        self._device = device
        self._chunks: Iterator[Tensor] = iter(())
        self._next = -1

    def batch(self, step: int, batch_size: int) -> Tensor:
        """Return the images of `step`, counted from 0, on the device.

        Raises
        ------
        DmixError: an image is damaged or cannot be read.
        """
        if step != self._next:
            self._chunks = start(self._work, self._tasks(step), batch_size, self._workers, self._device)
        self._next = -1  # until the batch is whole: after an error, everything starts anew
        images = next_batch(self._chunks, batch_size, self._device)
        self._next = step + 1
        return images
