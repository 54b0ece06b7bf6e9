"""Reads the lists of labelled images that BSS published for fine-grained sets (Chen et al., 2019).

The lists are fetched, not shipped: their repository (thuml/Batch-Spectral-Shrinkage, ft-datalist) has no
licence. They cannot be computed, because no published rule gives the order within a class. Self-Tuning
probably trained on these lists, but did not say so: they have its sizes and its rule, ceil(percent / 100 * n)
per class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.splits import label_split, names_of
from dmix.data.sets.dataset import Dataset
from dmix.errors import DmixError
from dmix.files import line_digest
from dmix.grid.paths import DATA
from dmix.grid.presence import LABEL_LISTS
from dmix.part import part

FOLDER = DATA / "real" / LABEL_LISTS
FETCH = f"dmix data fetch {LABEL_LISTS}"


class Lists(NamedTuple):
    """The lists of a data set.

    Attributes
    ----------
    stem: the start of their file names.
    path: from a line, "train/<class>/<image>.jpg", to the image's path in our data set.
    digests: percentage -> `line_digest` of the list.
    """

    stem: str
    path: Callable[[str], str]
    digests: Mapping[int, str]

    def file(self, percent: int) -> str:
        """Return the name of a list."""
        return f"{self.stem}_{percent}_train.txt"


def _bird(line: str) -> str:
    return f"images/{line.removeprefix('train/')}"


def _aircraft(line: str) -> str:
    # The lists have a folder per variant; the archive has one folder of images.
    return f"data/images/{line.rpartition('/')[2]}"


def _car(line: str) -> str:
    # The lists have a folder per class; images are numbered through both splits, as only in the merged form.
    return f"car_ims/{line.rpartition('/')[2]}"


LISTS: Mapping[str, Lists] = {
    "cub": Lists(
        "cub200",
        _bird,
        {
            15: "2130f954251708fbe1e704daa27da29716e4483792726dcd0eec21ef53af8ce2",
            30: "25b6129b07a133ae9414d5496409255d7f1390bc2ea424607f90f64d6a41a694",
            50: "5caa811b0230e1baf999facf6b0c639bd7949744484541925b3ff406bed0b5a5",
        },
    ),
    "aircraft": Lists(
        "FGVCAircraft",
        _aircraft,
        {
            15: "fdca060a5f6646b3136b84123a53ecf44676e1e096b960aeb061599626ff802f",
            30: "0f3e9e0d5eedfbf8c86348d2c44200624f1ca6e5e9bc7dda1095a29aa62f7701",
            50: "68240cc07a935f37c039d6e60486313790432ec2d4cec8c5f5b89ab927fd1312",
        },
    ),
    "cars": Lists(
        "stanford_cars",
        _car,
        {
            15: "b37d0ba1acb32fb6db6519487a907ed524f3bed7dd41fb83265abd0f15ef56e4",
            30: "0c2687c3067cf5f451adb1dac2822829738d10abba610b0f5fe8ce53bef72f5b",
            50: "ff17c1e1dd2b2c37eac483474498b1d4ecef31a89ac6d0462db3f78b9503945a",
        },
    ),
}


@part
def published(dataset: Dataset, seed: int, *, percent: Literal[15, 30, 50]) -> LabelSplit:
    """Keep the labels of the images in the published list; all other training images are unlabelled.

    Parameters
    ----------
    seed: of the run; not used. There is one list per percentage, so all seeds share the labels.

    Raises
    ------
    DmixError: there are no lists for the data set; the list is missing, is not the published one, or names an
        image that is no training image of the data set.
    """
    del seed
    lists = LISTS.get(dataset.name)
    if lists is None:
        raise DmixError(
            f"no lists of labelled images were published for {dataset.name}",
            f"take one of {', '.join(LISTS)}, or draw by hash_rule",
        )
    path = FOLDER / lists.file(percent)
    places = {name: row for row, name in enumerate(_names(dataset))}
    rows = [
        _row(dataset, places, lists.path(line), f"{path}: {line}")
        for line in read_list(path, lists.digests[percent])
    ]
    labelled = np.array(rows, np.int64)
    return label_split(dataset, labelled, np.setdiff1d(np.arange(len(places)), labelled))


def read_list(path: Path, digest: str) -> list[str]:
    """Return the lines of a list, in their order.

    Raises
    ------
    DmixError: it is missing, cannot be read, or has another `line_digest`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DmixError(f"the list of labelled images {path} is missing", f"run: {FETCH}") from error
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror or error}", f"run: {FETCH}") from error
    found = line_digest(content)
    if found != digest:
        raise DmixError(
            f"{path} is not the published list: the sha256 of its sorted lines is {found}, not {digest}",
            f"remove {path.parent}, then run: {FETCH}",
        )
    return [line.strip() for line in content.decode().splitlines() if line.strip()]


def _names(dataset: Dataset) -> list[str]:
    return names_of(dataset, np.arange(len(dataset.splits["train"])))


def _row(dataset: Dataset, places: Mapping[str, int], name: str, where: str) -> int:
    """Return the place of an image in the train split."""
    if name not in places:
        raise DmixError(
            f"{where}: {name} is no training image of {dataset.name} ({dataset.edition} edition)",
            "the lists go with the genuine data set, those of cars with its merged form (cars_annos.mat)",
        )
    return places[name]
