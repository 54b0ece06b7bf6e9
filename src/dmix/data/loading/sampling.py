"""Which samples each step of an endless stream trains on, and with which random numbers they are made."""

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
    index: (B,) int64, places in the split; one may occur several times.
    use: (B, 2) int64, what tells this use of a sample from every other: its random numbers are a function of
        the stream's seed and of this.
    """

    index: Ints
    rng_key: Ints


class Sampler(Protocol):
    """Gives the samples of any step, without a state."""

    def __call__(self, step: int) -> Samples:
        """Return the samples of `step`, counted from 0."""
        ...


class Shuffled:
    """Every sample once, in a new order each time; what does not fill a batch is left out of that round.

    Parameters
    ----------
    rows: places in the split. seed: 0 or more.

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
    """Uniform draws, each step's from a generator of its own: there is no list of indices to come.

    Parameters
    ----------
    rows: places in the split. seed: 0 or more.
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
