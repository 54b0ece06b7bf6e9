"""Tiny-ImageNet-200, real or embedded edition, decoded into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dmix.data.sets.block_means import reduced, require_divisor
from dmix.data.sets.dataset import Dataset, Split
from dmix.data.sets.image_files import LooseFiles, decode
from dmix.data.sets.image_folders import images_in, readable, subfolders
from dmix.data.sets.listed import Place, Rows, locate, read_keyed_lines, read_lines, require_sizes
from dmix.data.sets.stated_class import require_own_names
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
    """Read `root/<edition>/tiny-imagenet-200`, the unpacked archive; the test split is its `val`.

    Labels are the indices of the WordNet ids in sorted order, as in torchvision's ImageFolder, not in the
    order of wnids.txt. Each split is in the order of its paths. Bounding boxes and the unlabelled images of
    `test` are not used. Grey images become RGB.

    The images are decoded at the start of each run (about 7,000 a second on one core, so 16 s for the real
    110,000; more threads were not faster) and take 12 KiB each.

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded". classes: number of classes.
    train_size, test_size: required numbers of images, 100,000 and 10,000 in the real edition.
    image_size: side in pixels, 64 or a divisor of it: images are reduced by block means.

    Raises
    ------
    DmixError: the data are missing, damaged, of the other edition, or differ from the settings; or an image
        is in the folder of another class than its name states.
    """
    require_divisor("tiny_imagenet", SIZE, image_size)
    place = locate(root, FOLDER, "tiny_imagenet", edition, "run: dmix data fetch tiny_imagenet")
    with readable(place):
        wnids = _wnids(place)
        train, test = _train(place, wnids), _val(place, wnids)
        require_own_names(place, ((path, wnids[label]) for path, label in (*train, *test)))
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
    for name, (where, annotation) in read_keyed_lines(place, ANNOTATIONS).items():
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
