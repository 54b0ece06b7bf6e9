"""The contract of the estimators in `dmix.methods.class_relations`: from `Evidence` to `Learned`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from dmix.data.sets.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Evidence:
    """The pre-trained network's logits of the labelled training images, and their labels.

    Attributes
    ----------
    logits: (N, S) float32 on the host, over the S source classes.
    labels: (N,) int64, target classes, 0..classes-1.
    dataset: the target data set. rows: (N,) int64, ascending, the images' indices in its train split.
    """

    logits: Tensor
    labels: Tensor
    classes: int
    dataset: Dataset
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Learned:
    """A class relation and how it was learned.

    Attributes
    ----------
    matrix: (C, S) float64 on the host; row c is the distribution of the source classes given target class c.
    estimator: the one used. fallback: why the requested one was replaced, or "".
    strength, scale, accuracy: weight of the data, calibration factor and held-out accuracy of the reverse
        estimator's regression (`dmix.methods.transfer.source_regression`); None for the direct one.
    """

    matrix: Tensor
    estimator: Literal["direct", "reverse"]
    fallback: str = ""
    strength: float | None = None
    scale: float | None = None
    accuracy: float | None = None
