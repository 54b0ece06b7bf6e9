"""Draws equally many labelled images per class; all training images are unlabelled data too."""

from __future__ import annotations

import numpy as np

from dmix.data.labels.label_split import Ints, LabelSplit
from dmix.data.labels.splits import fewest_of_a_class, label_split
from dmix.data.sets.dataset import Dataset
from dmix.errors import DmixError

Rng = np.random.RandomState | np.random.Generator


def equal_split(dataset: Dataset, count: int, rng: Rng) -> LabelSplit:
    """Draw `count` labelled images; `unlabelled` is the whole train split, labelled ones included.

    Raises
    ------
    DmixError: the classes cannot have equally many labels, or one has too few training images.
    """
    labels, classes = dataset.splits["train"].labels, dataset.classes
    each, rest = divmod(count, classes)
    if rest or not each:
        raise DmixError(
            f"{count} labels cannot be equally many of each of the {classes} classes of {dataset.name}",
            f"set the count of labels to a multiple of {classes}",
        )
    everything = np.arange(len(labels))
    if (fewest := fewest_of_a_class(dataset, everything)) < each:
        raise DmixError(
            f"{count} labels are {each} of each class of {dataset.name}, "
            f"but one class has only {fewest} training images",
            f"set the count of labels to at most {classes * fewest}",
        )
    return label_split(dataset, draw(labels, classes, each, rng), everything)


def draw(labels: Ints, classes: int, each: int, rng: Rng) -> Ints:
    """Return int64 (classes * each,) indices: class after class, in the order in which they were drawn.

    Parameters
    ----------
    labels: (N,) in 0..classes-1. each: at most the number of images of the rarest class.
    rng: makes one draw without replacement per class, from class 0 on, among its images in their order.
    """
    of_class = (np.flatnonzero(labels == label) for label in range(classes))
    return np.concatenate([rng.choice(images, each, replace=False) for images in of_class])
