"""Draws the pairs of test images that are mixed: the same for every run and policy on a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmix.policies.draw import Ints

MOST_IMAGES = 64
"""Images that are mixed with each other, by one lam, at most; a few more where some would be left over."""
FEWEST_BLOCKS = 8
SMALLEST_BLOCK = 8
"""Few images are also cut into 8 blocks, for 8 draws of lam, as long as a block keeps 8 images."""
MOST_REDRAWS = 1000

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """All images of a split in random order, cut into blocks, and the partner of each within its block.

    Attributes
    ----------
    order: (N,) int64, index in the split. size: images of a block; the last one has at least half of it.
    partners: for each block (n,) int64: its row i is mixed with its row partners[i].
    """

    order: Ints
    size: int
    partners: tuple[Ints, ...]


def draw_pairs(labels: Labels, rng: np.random.Generator) -> Pairs:
    """Pair every image with one of another class, if its block has enough of them.

    Within a block the partners are a permutation, so that every image is once the own and once the partner.

    Parameters
    ----------
    labels: (N,) int64, classes of the split's images.
    """
    order = rng.permutation(len(labels))
    size = block_size(len(labels))
    starts = range(0, len(labels), size)
    partners = tuple(draw_partners(labels[order[start : start + size]], rng) for start in starts)
    return Pairs(order, size, partners)


def block_size(images: int) -> int:
    """Return how many images a block has; of the last block that is left at least half."""
    blocks = max(math.ceil(images / MOST_IMAGES), min(FEWEST_BLOCKS, images // SMALLEST_BLOCK), 1)
    smallest = max(1, math.ceil(images / blocks))
    sizes = range(smallest, max(images, smallest) + 1)
    return next(size for size in sizes if images % size == 0 or 2 * (images % size) >= size)


def draw_partners(labels: Labels, rng: np.random.Generator) -> Ints:
    """Return a random permutation (n,) int64 in which no row has a partner of its own class.

    The rows of one class are redrawn together with as many others, up to a thousand times. If more than half
    of the rows have one class, some such pairs stay; they are not counted.

    Parameters
    ----------
    labels: (n,) int64.
    """
    partner = rng.permutation(len(labels))
    for _ in range(MOST_REDRAWS):
        same = np.flatnonzero(labels == labels[partner])
        if same.size == 0:
            break
        others = np.setdiff1d(np.arange(len(labels)), same)
        with_them = rng.permutation(others)[: same.size]
        rows = np.concatenate([same, with_them])
        partner[rows] = rng.permutation(partner[rows])
    return partner
