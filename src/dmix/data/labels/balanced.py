"""Equally many labels of each class as TorchSSL draws them (Zhang et al., 2021): published label sets."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.per_class import equal_split
from dmix.data.sets.dataset import Dataset
from dmix.part import part


@part
def balanced(dataset: Dataset, seed: int, *, count: Annotated[int, Gt(0)]) -> LabelSplit:
    """Keep `count` labels, equally many of each class; all images are read without labels, these included.

    The draw is TorchSSL's, by NumPy's legacy generator seeded with the run's seed, so that seeds 0, 1 and 2
    have the labels of the published trials, and differ in them. What draws by a modern generator is
    `balanced_pcg`.

    Parameters
    ----------
    seed: of the run, 0 to 2^32 - 1.

    Raises
    ------
    DmixError: the classes cannot have equally many labels, or one has too few training images.
    """
    # The same stream as that of the global generator, which TorchSSL seeds and which nothing advances before.
    return equal_split(dataset, count, np.random.RandomState(seed))
