"""Writes a small procedural set in the layout of Tiny-ImageNet-200."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dmix.data.embedded import masks, procedural
from dmix.data.embedded.procedural_files import encode, wnid
from dmix.data.sets.tiny_imagenet import ANNOTATIONS, SIZE, WNIDS

CLASSES, TRAIN, VAL = 20, 25, 10  # images of each class
SEED = 20150301
FIRST = 7  # the first class of wnids.txt, which is not sorted in the genuine set either


def write_tiny_imagenet(folder: Path) -> None:
    """Fill `folder` as the archive unpacks, bounding boxes included, and add the masks of both splits."""
    wnids = [wnid(label) for label in range(CLASSES)]
    words = [f"{owner}\t{procedural.class_name(label)}" for label, owner in enumerate(wnids)]
    _write_lines(folder / WNIDS, wnids[FIRST:] + wnids[:FIRST])
    _write_lines(folder / "words.txt", words)
    _write_train(folder, wnids)
    _write_val(folder, wnids)


def _write_train(folder: Path, wnids: Sequence[str]) -> None:
    names = [f"{owner}_{rank}.JPEG" for owner in wnids for rank in range(TRAIN)]
    labels = np.repeat(np.arange(CLASSES), TRAIN)
    paths = [f"train/{name.partition('_')[0]}/images/{name}" for name in names]
    boxes = _write_images(folder, "train", paths, labels, _rng(0))
    lines = [f"{name}\t{box}" for name, box in zip(names, boxes, strict=True)]
    for label, owner in enumerate(wnids):
        _write_lines(folder / "train" / owner / f"{owner}_boxes.txt", lines[label * TRAIN :][:TRAIN])


def _write_val(folder: Path, wnids: Sequence[str]) -> None:
    rng = _rng(1)
    names = [f"val_{number}.JPEG" for number in range(CLASSES * VAL)]
    labels = rng.permutation(np.repeat(np.arange(CLASSES), VAL))
    boxes = _write_images(folder, "test", [f"val/images/{name}" for name in names], labels, rng)
    rows = zip(names, labels, boxes, strict=True)
    _write_lines(folder / ANNOTATIONS, [f"{name}\t{wnids[label]}\t{box}" for name, label, box in rows])


def _rng(number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([SEED, number])))


def _write_images(
    folder: Path, split: str, paths: Sequence[str], labels: npt.NDArray[np.int64], rng: np.random.Generator
) -> list[str]:
    """Write one image per path, and their masks in the sorted order of the paths, which is the reader's.

    Returns
    -------
    The objects' bounding boxes, in the format of the lists.
    """
    images, objects = procedural.render(labels, SIZE, CLASSES, rng)
    for serial, (path, image) in enumerate(zip(paths, images, strict=True)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(encode(image.transpose(1, 2, 0), serial))
    masks.write(folder / f"masks_{split}.npy", objects[sorted(range(len(paths)), key=paths.__getitem__)])
    return [_box(mask) for mask in objects]


def _box(mask: npt.NDArray[np.bool_]) -> str:
    """Return "x1 y1 x2 y2", separated by tabs: the first and last column and row that the object touches."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return f"{columns[0]}\t{rows[0]}\t{columns[-1]}\t{rows[-1]}"


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
