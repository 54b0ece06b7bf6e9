"""What a draw of labels is, whatever rule it is made by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelSplit:
    """Which images of a train split a run may know the labels of, and which it reads without.

    Together the two parts are the whole split. Whether they overlap is the draw's affair: in transfer
    learning they are disjoint (`hash_rule`, `published`); in semi-supervised learning `unlabelled` is the
    whole split, the labelled images included (`balanced`).

    Attributes
    ----------
    labelled, unlabelled: int64, ascending indices into the train split, each at most once.
    names: of the labelled images (`dmix.data.labels.splits.names_of`), sorted.
    digest: `dmix.data.labels.splits.digest_of` of them.
    """

    labelled: Ints
    unlabelled: Ints
    names: tuple[str, ...]
    digest: str
