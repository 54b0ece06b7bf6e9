"""A subset of a split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dmix.data.sets.dataset import AnySplit, FileSplit, Split
from dmix.data.sets.image_files import ImageFiles

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChosenFiles:
    """The encoded images of `files` at the indices `rows`, int64 (n,), in that order."""

    files: ImageFiles
    rows: Ints

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The path of each image relative to the data set, n of them."""
        return tuple(self.files.names[row] for row in self.rows.tolist())

    def sizes(self) -> Ints:
        """Return the number of bytes of each image, (n,)."""
        return self.files.sizes()[self.rows]

    def read(self, index: int) -> bytes:
        """Return the bytes of one image."""
        return self.files.read(int(self.rows[index]))


def subset(split: AnySplit, rows: Ints) -> AnySplit:
    """Return the samples of `split` at the indices `rows`, int64 (n,), in that order."""
    if isinstance(split, Split):
        return Split(split.images[rows], split.labels[rows])
    return FileSplit(ChosenFiles(split.files, rows), split.labels[rows])
