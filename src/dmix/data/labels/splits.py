"""Which training images keep their labels: a stratified draw by the hashes of paths.

Of each class, images are sorted by the SHA-256 of "<data set>|<seed>|<path>", and the first ones are drawn.
There is no generator and no state: the draw depends neither on the order of files nor on the machine, and
each percentage contains all lower ones of the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from dmix.data.labels.label_split import Ints, LabelSplit
from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.errors import DmixError


def label_split(dataset: Dataset, labelled: Ints, unlabelled: Ints) -> LabelSplit:
    """Return the `LabelSplit` of two arrays of distinct indices of training images, in any order."""
    labelled, unlabelled = np.sort(labelled), np.sort(unlabelled)
    names = tuple(sorted(names_of(dataset, labelled)))
    return LabelSplit(labelled, unlabelled, names, digest_of(names))


def names_of(dataset: Dataset, rows: Ints) -> list[str]:
    """Return the names of the training images `rows` in lists of labelled images.

    A name is the path relative to the data set; for images in memory, "train/" and the index in six digits.
    """
    train = dataset.splits["train"]
    if isinstance(train, FileSplit):
        return [train.files.names[row] for row in rows.tolist()]
    return [f"train/{row:06d}" for row in rows.tolist()]


def quota(images: npt.ArrayLike, percent: int) -> Ints:
    """Return ceil(percent / 100 * images), element by element, without rounding errors."""
    return -(-percent * np.asarray(images, np.int64) // 100)


def digest_of(names: Iterable[str]) -> str:
    """Return the SHA-256 (64 hex digits) of the sorted names, one per line."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def hash_draw(dataset: str, seed: int, names: Sequence[str], labels: Ints, quotas: Ints) -> Ints:
    """Return the drawn indices into `names`: class after class, in the order of the hashes within each.

    Parameters
    ----------
    dataset: what params.yaml calls the data set. names: N paths relative to its folder.
    labels: (N,) in 0..C-1. quotas: (C,), how many are drawn per class; of a smaller class all are.
    """
    if not names:
        return np.zeros(0, np.int64)
    hashes = [hashlib.sha256(f"{dataset}|{seed}|{name}".encode()).hexdigest() for name in names]
    order = np.lexsort((np.array(hashes), labels)).astype(np.int64)
    counts = np.bincount(labels, minlength=len(quotas))
    rank = np.arange(len(order)) - (counts.cumsum() - counts)[labels[order]]
    return order[rank < quotas[labels[order]]]


def split_labels(dataset: Dataset, percent: int, seed: int) -> LabelSplit:
    """Draw ceil(percent / 100 * n) labelled images from the n training images of every class.

    Parameters
    ----------
    percent: 1 to 100; with 100 no image is unlabelled.

    Raises
    ------
    DmixError: percent is out of range, images have no paths, or a class has no training image.
    """
    if not 1 <= percent <= 100:
        raise DmixError(f"{percent} % of the labels of {dataset.name} were asked for", "say 1 to 100")
    names, labels = _named(dataset)
    counts = np.bincount(labels, minlength=dataset.classes)
    if not counts.all():
        raise DmixError(
            f"class {int(counts.argmin())} of {dataset.name} has no training image, so it can have no label",
            "get the data set again, or compare it with its source",
        )
    drawn = hash_draw(dataset.name, seed, names, labels, quota(counts, percent))
    return label_split(dataset, drawn, np.setdiff1d(np.arange(len(names)), drawn))


def hold_out(dataset: Dataset, rows: Ints, percent: int, seed: int) -> tuple[Ints, Ints]:
    """Split training images in two by the same rule: (fit, held out), ascending indices like `rows`.

    Of every class ceil(percent / 100 * n) of the n images are for fitting, but at least one is held out.

    Parameters
    ----------
    rows: distinct indices into the train split, such as `LabelSplit.labelled`. percent: 1 to 99.

    Raises
    ------
    DmixError: percent is out of range, images have no paths, or a class has fewer than 2 of the rows.
    """
    if not 1 <= percent <= 99:
        raise DmixError(f"{percent} % of the labelled images were asked for", "say 1 to 99")
    names, labels = _named(dataset)
    counts = np.bincount(labels[rows], minlength=dataset.classes)
    if counts.min() < 2:
        raise DmixError(
            f"class {int(counts.argmin())} of {dataset.name} has {int(counts.min())} labelled images, "
            "too few to hold one out",
            "label more images, or use what needs no held-out ones",
        )
    chosen = [names[index] for index in rows.tolist()]
    quotas = np.minimum(quota(counts, percent), counts - 1)
    drawn = hash_draw(dataset.name, seed, chosen, labels[rows], quotas)
    return np.sort(rows[drawn]), np.sort(np.delete(rows, drawn))


def fewest_of_a_class(dataset: Dataset, rows: Ints) -> int:
    """Return how many of the training images `rows` the rarest class has."""
    return int(np.bincount(dataset.splits["train"].labels[rows], minlength=dataset.classes).min())


def _named(dataset: Dataset) -> tuple[tuple[str, ...], Ints]:
    train = dataset.splits["train"]
    if not isinstance(train, FileSplit):
        raise DmixError(
            f"the images of {dataset.name} have no paths by which labelled ones could be drawn",
            "take a data set of image files: cub, aircraft or cars",
        )
    return train.files.names, train.labels
