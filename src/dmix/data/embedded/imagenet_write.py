"""Writes a small procedural set in class folders, as ImageNet's archives are commonly unpacked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dmix.data.embedded import procedural
from dmix.data.embedded.procedural_files import encode, wnid

CLASSES, TRAIN, VAL = 20, 20, 5  # images of each class
SEED = 20120601
LEAST, MOST = 64, 96  # height and width in pixels


def write_imagenet(folder: Path) -> None:
    """Fill `folder` with `train/<wnid>/*.JPEG` and `val/<wnid>/*.JPEG`, named like the genuine images."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(SEED)))
    numbers = 1 + rng.permutation(CLASSES * VAL).reshape(CLASSES, VAL)
    for label in range(CLASSES):
        owner = wnid(label)
        train = [f"{owner}_{rank}.JPEG" for rank in range(TRAIN)]
        val = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in numbers[label]]
        _write_images(folder / "train" / owner, train, label, rng)
        _write_images(folder / "val" / owner, val, label, rng)


def _write_images(folder: Path, names: Sequence[str], label: int, rng: np.random.Generator) -> None:
    """Draw square images of one class, centre crop each to a random size, and write them."""
    folder.mkdir(parents=True)
    images, _ = procedural.render(np.full(len(names), label), MOST, CLASSES, rng)
    sides = rng.integers(LEAST, MOST, (len(names), 2), endpoint=True)
    for rank, (name, image, (height, width)) in enumerate(zip(names, images, sides, strict=True)):
        top, left = (MOST - height) // 2, (MOST - width) // 2
        cut = image[:, top : top + height, left : left + width].transpose(1, 2, 0)
        (folder / name).write_bytes(encode(np.ascontiguousarray(cut), label * len(names) + rank))
