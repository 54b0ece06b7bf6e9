"""Interleaved half circles in the plane, few of them labelled, for a picture of false pseudo-labels.

The moons are those of scikit-learn's `make_moons`, continued to any number of classes: every other one is
upside down, each one unit to the right of the last. With two classes the decoupled term is zero, because
deleting one class leaves the other alone; so a picture of it needs three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dmix.policies.draw import Floats, Ints

TEST = 500  # points of a class on which accuracy is measured


@dataclass(frozen=True, eq=False)
class Moons:
    """The points of S seeds.

    Attributes
    ----------
    labelled, unlabelled, test: float32 (S, N, 2). y, true, y_test: int64 (S, N), their classes; of unlabelled
    points, they are not for training.
    """

    labelled: Tensor
    y: Tensor
    unlabelled: Tensor
    true: Tensor
    test: Tensor
    y_test: Tensor

    @property
    def seeds(self) -> int:
        """S."""
        return len(self.y)

    @property
    def classes(self) -> int:
        """The number of classes, all of which have labelled points."""
        return int(self.y.max()) + 1


def draw_moons(seeds: int, classes: int, labelled: int, unlabelled: int, noise: float) -> Moons:
    """Draw the points of seeds 0 to `seeds` - 1, each from its own generators.

    Parameters
    ----------
    labelled, unlabelled: points of a class. noise: standard deviation of both coordinates; the radius is 1.
    """
    drawn = []
    for seed in range(seeds):
        x, y = points(classes, labelled + unlabelled, noise, np.random.default_rng([seed, 0]))
        # The points of a class are drawn independently, so the first ones are a random choice.
        first = np.arange(len(y)) % (labelled + unlabelled) < labelled
        test = points(classes, TEST, noise, np.random.default_rng([seed, 1]))
        drawn.append((x[first], y[first], x[~first], y[~first], *test))
    return Moons(*(torch.from_numpy(np.stack(part)) for part in zip(*drawn, strict=True)))


def points(classes: int, each: int, noise: float, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Return float32 (N, 2) and their classes (N,), class by class, with the middle of all moons at 0."""
    label = np.repeat(np.arange(classes), each)
    angle = rng.uniform(0, np.pi, len(label))
    side = 1 - 2 * (label % 2)
    x = label + np.cos(angle) - (classes - 1) / 2
    y = side * (np.sin(angle) - 0.25)
    place = np.stack([x, y], 1) + rng.normal(scale=noise, size=(len(label), 2))
    return place.astype(np.float32), label
