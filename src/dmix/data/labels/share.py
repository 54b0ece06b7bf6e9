"""Draws a share of every class by the hashes of names, for any data set: smaller training sets."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Interval

from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.splits import hash_draw, label_split, names_of, quota
from dmix.data.sets.dataset import Dataset
from dmix.errors import DmixError
from dmix.part import part


@part
def share(dataset: Dataset, seed: int, *, percent: Annotated[int, Interval(ge=1, le=100)]) -> LabelSplit:
    """Keep ceil(percent / 100 * n) of the n training images of every class; the others are unlabelled.

    As `hash_rule`, but images in memory have names too, "train/" and their index, and every seed has its own
    images: the spread over seeds contains that of the choice. Each percentage contains all lower ones of a
    seed.

    Parameters
    ----------
    seed: of the run.

    Raises
    ------
    DmixError: a class has no training image.
    """
    labels = dataset.splits["train"].labels
    everything = np.arange(len(labels))
    counts = np.bincount(labels, minlength=dataset.classes)
    if not counts.all():
        raise DmixError(
            f"class {int(counts.argmin())} of {dataset.name} has no training image to take a share of",
            "get the data set again, or compare it with its source",
        )
    drawn = hash_draw(dataset.name, seed, names_of(dataset, everything), labels, quota(counts, percent))
    return label_split(dataset, drawn, np.setdiff1d(everything, drawn))
