"""Small images on disk, for tests of what reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from dmix.data.sets.dataset import FileSplit
from dmix.data.sets.image_files import LooseFiles


def write_images(root: Path, n: int = 23) -> FileSplit:
    """Write n JPEG images of various shapes under `root`; labels are not the indices."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names = tuple(f"{index:02d}.jpg" for index in range(n))
    for name in names:
        height, width = rng.integers(18, 40, 2)
        coarse = PIL.Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
        coarse.resize((int(width), int(height))).save(root / name, quality=90)
    return FileSplit(LooseFiles(root, names), rng.permutation(n) % 7)


class Counted:
    """A split that counts how often each image is read, in this process."""

    def __init__(self, split: FileSplit) -> None:
        self.split = split
        self.labels = split.labels
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.split)

    def image(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return self.split.image(index)
