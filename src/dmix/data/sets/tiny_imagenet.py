"""Tiny-ImageNet-200, genuine or embedded, from its folder; its images are decoded into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dmix.data.sets.block_means import reduced, require_divisor
from dmix.data.sets.dataset import Dataset, Split
from dmix.data.sets.image_files import LooseFiles, decode
from dmix.data.sets.image_folders import images_in, readable, subfolders
from dmix.data.sets.listed import Place, Rows, locate, read_lines, read_pairs, require_sizes
from dmix.part import part

FOLDER = "tiny-imagenet-200"
SIZE = 64  # side of an image in pixels
WNIDS, ANNOTATIONS = "wnids.txt", "val/val_annotations.txt"


@part
def tiny_imagenet(
    root: Path,
    *,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
    image_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/tiny-imagenet-200` as its archive unpacks; the test split is its `val`.

    Labels are the places of the WordNet ids in sorted order, as torchvision's ImageFolder numbers the class
    folders; wnids.txt has its own order. Each split is in the order of its paths. Bounding boxes and
    the unlabelled images of `test` are not used. Grey files become RGB.

    The images are decoded anew for each run (about 7,000 a second on one core, so 16 s for the genuine
    110,000; more threads were no faster) and take 12 KiB each.

    Parameters
    ----------
    root: the folder that holds the editions.
    classes: the number of classes that the data set must have.
    train_size, test_size: the images each split must hold, 100,000 and 10,000 in the genuine set.
    image_size: side in pixels, 64 or a divisor of it: images are reduced by block means.

    Raises
    ------
    DmixError: the data are missing, damaged, of the other edition, or not as the settings say.
    """
    require_divisor("tiny_imagenet", SIZE, image_size)
    place = locate(root, FOLDER, "tiny_imagenet", edition, "run: dmix data fetch tiny_imagenet")
    with readable(place):
        wnids = _wnids(place)
        train, test = _train(place, wnids), _val(place, wnids)
        require_sizes(
            place,
            {
                "classes": (len(wnids), classes),
                "train images": (len(train), train_size),
                "test images": (len(test), test_size),
            },
        )
        splits = {
            "train": reduced(_decoded(place, train), image_size),
            "test": reduced(_decoded(place, test), image_size),
        }
    return Dataset(name=place.name, edition=edition, classes=classes, splits=splits)


def _wnids(place: Place) -> list[str]:
    """Return the WordNet ids in the order of their labels."""
    wnids: set[str] = set()
    for where, wnid in read_lines(place, WNIDS):
        if wnid in wnids:
            raise place.fault(f"{where}: {wnid} comes a second time")
        wnids.add(wnid)
    return sorted(wnids)


def _train(place: Place, wnids: list[str]) -> Rows:
    folders = subfolders(place, "train")
    if absent := sorted(set(wnids) - set(folders)):
        raise place.fault(f"{place.folder / 'train'} has no folder for the class {absent[0]} of {WNIDS}")
    if foreign := sorted(set(folders) - set(wnids)):
        raise place.fault(f"{place.folder / 'train' / foreign[0]} is the folder of no class of {WNIDS}")
    return [
        (f"train/{wnid}/images/{name}", label)
        for label, wnid in enumerate(wnids)
        for name in images_in(place, f"train/{wnid}/images")
    ]


def _val(place: Place, wnids: list[str]) -> Rows:
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    found = set(images_in(place, "val/images"))
    rows = []
    for name, (where, annotation) in read_pairs(place, ANNOTATIONS).items():
        wnid = annotation.split()[0]  # a bounding box follows
        if wnid not in labels:
            raise place.fault(f"{where}: the class {wnid} is not in {WNIDS}")
        if name not in found:
            raise place.fault(f"{where}: the image {place.folder / 'val/images' / name} is missing")
        found.remove(name)
        rows.append((f"val/images/{name}", labels[wnid]))
    if found:
        raise place.fault(f"{place.folder / 'val/images' / min(found)} has no line in {ANNOTATIONS}")
    return sorted(rows)


def _decoded(place: Place, rows: Rows) -> Split:
    paths, labels = zip(*rows, strict=True)
    files = LooseFiles(place.folder, paths)
    images = np.empty((len(rows), 3, SIZE, SIZE), np.uint8)
    for index, path in enumerate(paths):
        pixels = decode(files.read(index), path)
        height, width, _ = pixels.shape
        if (height, width) != (SIZE, SIZE):
            raise place.fault(f"{place.folder / path} has {width}x{height} pixels, not {SIZE}x{SIZE}")
        images[index] = pixels.transpose(2, 0, 1)
    return Split(images, np.array(labels, np.int64))
