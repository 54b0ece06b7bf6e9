"""What a relationship of source and target classes is learned from, and what then is known of it.

The contract of `dmix.methods.class_relations`, whose parts turn the one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dmix.data.sets.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Evidence:
    """The labelled training images as the pre-trained network sees them.

    Attributes
    ----------
    logits: (N, S) float32 on the host, of the classifier that the network was pre-trained with.
    labels: (N,) int64, their target classes, 0..classes-1.
    dataset: that they are of. rows: (N,) int64, ascending, their places in its train split.
    """

    logits: Tensor
    labels: Tensor
    classes: int
    dataset: Dataset
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Learned:
    """A relationship and how it came about.

    Attributes
    ----------
    matrix: (C, S) float64 on the host; row c is the distribution of the source classes given target class c.
    estimator: that was used. fallback: why it is another one than was asked for, or "".
    strength, scale, accuracy: of the regression of the reverse estimator
        (`dmix.methods.transfer.source_regression`); the direct one has none.
    """

    matrix: Tensor
    estimator: Literal["direct", "reverse"]
    fallback: str = ""
    strength: float | None = None
    scale: float | None = None
    accuracy: float | None = None
