"""The labelled and unlabelled images of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelSplit:
    """The images of a train split that a run reads with labels, and those it reads without.

    Their union is the whole split. In transfer learning they are disjoint (`hash_rule`, `published`); in
    semi-supervised learning `unlabelled` is the whole split, labelled images included (`balanced`).

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
