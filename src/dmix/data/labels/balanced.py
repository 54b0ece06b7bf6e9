"""Draws equally many labels per class as TorchSSL does (Zhang et al., 2021): published label sets."""

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
    """Keep `count` labels, equally many per class; all images, labelled ones too, are unlabelled data.

    The draw is TorchSSL's, by NumPy's legacy generator seeded with the run's seed: seeds 0, 1 and 2 have the
    different labels of the published trials. `balanced_pcg` is the same rule by a modern generator.

    Parameters
    ----------
    seed: of the run, 0 to 2^32 - 1.

    Raises
    ------
    DmixError: the classes cannot have equally many labels, or one has too few training images.
    """
    # The same stream as NumPy's global generator, which TorchSSL seeds and then draws the labels from first.
    return equal_split(dataset, count, np.random.RandomState(seed))
