"""FGVC-Aircraft 2013b (labels are variants), real or embedded edition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.sets.dataset import Dataset
from dmix.data.sets.listed import Line, Place, Row, dataset, locate, read_keyed_lines, read_lines
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
    """Read `root/<edition>/fgvc-aircraft-2013b`, the unpacked archive; "train" is its train and val together.

    A label is the index of the variant's name ("F/A-18", "Boeing 717") in variants.txt, from 0.

    The lowest 20 pixel rows of a real image are a banner with the photographer's name. It is kept, as in the
    recipe that the paper follows (OpenMixup's), so published numbers include it.

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded". classes: number of variants.
    train_size, test_size: required numbers of images, 6,667 and 3,333 in the real edition.

    Raises
    ------
    DmixError: the data are missing, of the other edition, or inconsistent with themselves or the settings.
    """
    place = locate(root, FOLDER, "aircraft", edition, "run: dmix data fetch aircraft")
    labels: dict[str, int] = {}
    for where, variant in read_lines(place, VARIANTS):
        if variant in labels:
            raise place.fault(f"{where}: {variant} comes a second time")
        labels[variant] = len(labels)
    splits = {
        "train": _rows(place, _training(place), labels),
        "test": _rows(place, read_keyed_lines(place, TEST), labels),
    }
    return dataset(place, splits, len(labels), classes=classes, train_size=train_size, test_size=test_size)


def _training(place: Place) -> dict[str, Line]:
    """Return image -> variant of train and val together; use a trainval list instead if one is missing.

    If all three lists exist, they must agree.
    """
    if not all((place.folder / name).exists() for name in (TRAIN, VAL)):
        return read_keyed_lines(place, TRAINVAL)
    train, val = read_keyed_lines(place, TRAIN), read_keyed_lines(place, VAL)
    for image, line in val.items():
        if image in train:
            raise place.fault(f"{line.where}: image {image} is in {TRAIN} too")
    merged = {**train, **val}
    if (place.folder / TRAINVAL).exists():
        differing = sorted(_said(merged) ^ _said(read_keyed_lines(place, TRAINVAL)))
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
