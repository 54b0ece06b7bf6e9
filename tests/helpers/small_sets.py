"""Data sets of a few random images, in memory or as encoded files, with the classes that a run's set has."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from dmix.data.sets.dataset import Dataset, FileSplit, Split

EACH = 4  # training images of a class


@dataclass(frozen=True, eq=False)
class InMemory:
    """PNG files that are in memory (`dmix.data.sets.image_files.ImageFiles`)."""

    names: tuple[str, ...]
    contents: tuple[bytes, ...]

    def sizes(self):
        return np.array([len(content) for content in self.contents])

    def read(self, index):
        return self.contents[index]


def dataset_of(spec):
    """A data set like that of a run: images of one size in memory, or files, whichever that has."""
    said, each = spec.settings["dataset"], EACH
    if percent := (spec.settings.get("labels") or {}).get("percent"):
        # A share of the images has to fill a batch.
        batch_size = spec.settings["recipe"]["batch_size"]
        each = max(EACH, math.ceil(100 * batch_size / percent / said["classes"]))
    return _dataset(said["use"], said["classes"], said.get("image_size"), each)


@cache
def _dataset(name, classes, side, each):
    make = files if side is None else arrays
    splits = {
        split: make(np.arange(classes * count) % classes, side, split)
        for split, count in (("train", each), ("test", 1))
    }
    return Dataset(name, "embedded", classes, splits)


def arrays(labels, side, name):
    rng = np.random.default_rng([len(labels), side])
    return Split(rng.integers(0, 256, (len(labels), 3, side, side), np.uint8), labels)


def files(labels, _, name):
    rng = np.random.default_rng(len(labels))
    return FileSplit(
        InMemory(
            tuple(f"{name}/{label}/{row}.png" for row, label in enumerate(labels.tolist())),
            tuple(_png(rng.integers(0, 256, (36, 44, 3), np.uint8)) for _ in labels),
        ),
        labels,
    )


def _png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
