"""Which samples each step of an endless stream has, and the keys of their random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dmix.data.loading import epochs

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Samples:
    """One step's samples.

    Attributes
    ----------
    index: int64 (B,), indices into the split; one may occur several times.
    rng_key: int64 (B, 2), unique to each use of a sample; its random numbers are a function of the stream's
        seed and of this key.
    """

    index: Ints
    rng_key: Ints


class Sampler(Protocol):
    """Returns the samples of any step; has no state."""

    def __call__(self, step: int) -> Samples:
        """Return the samples of `step`, counted from 0."""
        ...


class Shuffled:
    """Takes every sample once per epoch, in a new order each epoch; a last partial batch is dropped.

    Parameters
    ----------
    rows: indices into the split. seed: 0 or more.

    Raises
    ------
    DmixError: the rows do not fill one batch.
    """

    def __init__(self, rows: Ints, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._steps = epochs.steps_per_epoch(len(rows), batch_size)
        self._order = lru_cache(maxsize=2)(partial(epochs.order, len(rows), seed))

    def __call__(self, step: int) -> Samples:
        """Return the samples of `step`."""
        epoch, place = divmod(step, self._steps)
        index = self._rows[self._order(epoch)[place * self._batch_size : (place + 1) * self._batch_size]]
        return Samples(index, np.stack([np.full_like(index, epoch), index], axis=1))


class WithReplacement:
    """Draws samples uniformly with replacement, each step from its own generator, so there is no state.

    Parameters
    ----------
    rows: indices into the split. seed: 0 or more.
    """

    def __init__(self, rows: Ints, batch_size: int, seed: int) -> None:
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed

    def __call__(self, step: int) -> Samples:
        """Return the samples of `step`."""
        chosen = epochs.step_rng(self._seed, step).integers(len(self._rows), size=self._batch_size)
        place = np.arange(self._batch_size)
        return Samples(self._rows[chosen], np.stack([np.full_like(place, step), place], axis=1))
