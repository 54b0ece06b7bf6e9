"""Draws equally many labels per class by a modern generator: `balanced` without published label sets."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.per_class import equal_split
from dmix.data.sets.dataset import Dataset
from dmix.part import part


@part
def balanced_pcg(dataset: Dataset, seed: int, *, count: Annotated[int, Gt(0)]) -> LabelSplit:
    """Keep `count` labels, equally many per class; all images, labelled ones too, are unlabelled data.

    Parameters
    ----------
    seed: of the run, 0 or more; runs of other seeds have other labels.

    Raises
    ------
    DmixError: the classes cannot have equally many labels, or one has too few training images.
    """
    return equal_split(dataset, count, np.random.Generator(np.random.PCG64(seed)))
