"""FGVC-Aircraft 2013b by its variants, genuine or embedded, from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.sets.dataset import Dataset
from dmix.data.sets.listed import Line, Place, Row, dataset, locate, read_lines, read_pairs
from dmix.part import part

FOLDER = "fgvc-aircraft-2013b"
VARIANTS = "data/variants.txt"
TRAIN, VAL, TRAINVAL, TEST = (
    f"data/images_variant_{name}.txt" for name in ("train", "val", "trainval", "test")
)


@part
def aircraft(
    root: Path,
    *,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/fgvc-aircraft-2013b` as its archive unpacks; train and val together are "train".

    A label is the place of the variant's name ("F/A-18", "Boeing 717") in variants.txt, from 0.

    The lowest 20 pixel rows of a genuine image are a banner with the photographer's name. It stays: the
    recipe that the paper follows (OpenMixup's) resizes and crops at random like any image, so published
    numbers include it.

    Parameters
    ----------
    root: the folder that holds the editions.
    classes: the number of classes that the data set must have.
    train_size, test_size: the images each split must have, 6,667 and 3,333 in the genuine set.

    Raises
    ------
    DmixError: the data are missing, of the other edition, contradict themselves or the settings.
    """
    place = locate(root, FOLDER, "aircraft", edition, "run: dmix data fetch aircraft")
    labels: dict[str, int] = {}
    for where, variant in read_lines(place, VARIANTS):
        if variant in labels:
            raise place.fault(f"{where}: {variant} comes a second time")
        labels[variant] = len(labels)
    splits = {
        "train": _rows(place, _training(place), labels),
        "test": _rows(place, read_pairs(place, TEST), labels),
    }
    return dataset(place, splits, len(labels), classes=classes, train_size=train_size, test_size=test_size)


def _training(place: Place) -> dict[str, Line]:
    """Return image to variant of train and val together; a trainval list says the same, or stands alone."""
    if not all((place.folder / name).exists() for name in (TRAIN, VAL)):
        return read_pairs(place, TRAINVAL)
    train, val = read_pairs(place, TRAIN), read_pairs(place, VAL)
    for image, line in val.items():
        if image in train:
            raise place.fault(f"{line.where}: image {image} is in {TRAIN} too")
    merged = {**train, **val}
    if (place.folder / TRAINVAL).exists():
        differing = sorted(_said(merged) ^ _said(read_pairs(place, TRAINVAL)))
        if differing:
            raise place.fault(
                f"{place.folder / TRAINVAL} is not {TRAIN} and {VAL} together: "
                f"they differ on image {differing[0][0]}"
            )
    return merged


def _said(variants: Mapping[str, Line]) -> set[tuple[str, str]]:
    return {(image, variant.text) for image, variant in variants.items()}


def _rows(place: Place, variants: Mapping[str, Line], labels: Mapping[str, int]) -> list[Row]:
    """Return the path and label of every image."""
    for where, variant in variants.values():
        if variant not in labels:
            raise place.fault(f"{where}: the variant {variant!r} is not in {VARIANTS}")
    return [(f"data/images/{image}.jpg", labels[variant.text]) for image, variant in variants.items()]
