"""The order of samples and the random generators of each epoch or step.

All are functions of (seed, epoch or step) and, where samples are made one by one, of the sample: there is no
state to save, and results depend neither on where a run was resumed nor on the number of processes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmix.errors import DmixError

# Purposes of random numbers; changing one changes every run.
ORDER, AUGMENT, SAMPLE, STEP, VIEW, BATCH_VIEW = 0, 1, 2, 3, 4, 5


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of full batches in an epoch.

    Raises
    ------
    DmixError: the samples do not fill one batch.
    """
    if samples < batch_size:
        raise DmixError(
            f"batch_size is {batch_size}, but the train split holds {samples} images",
            f"set batch_size to at most {samples} in params.yaml",
        )
    return samples // batch_size


def order(samples: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return the indices 0..samples-1 in the order of an epoch."""
    return _rng(seed, epoch, ORDER).permutation(samples)


def augment_rng(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator that draws the augmentation of all samples of an epoch at once."""
    return _rng(seed, epoch, AUGMENT)


def sample_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Return the generator of one sample in an epoch."""
    return _rng(seed, epoch, SAMPLE, index)


def step_rng(seed: int, step: int) -> np.random.Generator:
    """Return the generator that draws the samples of a step, where there are no epochs."""
    return _rng(seed, step, STEP)


def view_rng(seed: int, key: tuple[int, int], view: int) -> np.random.Generator:
    """Return the generator of one view (from 0) of the sample with this random key (`sampling.Samples`)."""
    return _rng(seed, *key, VIEW, view)


def batch_view_rng(seed: int, step: int, view: int) -> np.random.Generator:
    """Return the generator that draws one view (from 0) of all samples of a step at once."""
    return _rng(seed, step, BATCH_VIEW, view)


def _rng(*entropy: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
