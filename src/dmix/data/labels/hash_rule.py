"""Draws a share of every class by the hashes of paths: transfer learning without a published list."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval

from dmix.data.labels.label_split import LabelSplit
from dmix.data.labels.splits import split_labels
from dmix.data.sets.dataset import Dataset
from dmix.part import part


@part
def hash_rule(
    dataset: Dataset,
    seed: int,
    *,
    percent: Annotated[int, Interval(ge=1, le=100)],
    draw: Annotated[int, Ge(0)] = 0,
) -> LabelSplit:
    """Keep the labels of ceil(percent / 100 * n) of the n training images of every class (`split_labels`).

    Labelled and unlabelled images are disjoint, and each percentage contains all lower ones of the same draw.

    Parameters
    ----------
    seed: of the run; not used. All seeds share the labels, as published trials do; vary `draw` instead.

    Raises
    ------
    DmixError: images have no paths, or a class has no training image.
    """
    del seed
    return split_labels(dataset, percent, draw)
