"""Stanford-Cars (Cars-196), real or embedded edition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt

from dmix.data.sets.dataset import Dataset
from dmix.data.sets.listed import Place, Row, dataset, locate, read_content
from dmix.data.sets.mat_files import read_mat
from dmix.data.sets.nested import advice
from dmix.part import part

FOLDER = "stanford_cars"
MERGED = "cars_annos.mat"
META = "devkit/cars_meta.mat"
TRAIN = "devkit/cars_train_annos.mat"
TEST = "cars_test_annos_withlabels.mat"  # published after the devkit, hence beside it or in it


@part
def cars(
    root: Path,
    *,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/stanford_cars`; bounding boxes are not used.

    Two forms were published. In the merged one, cars_annos.mat lists car_ims/ and marks the test images; in
    the other one, devkit/ has a list for each of cars_train/ and cars_test/. If the lists of both are there,
    the merged one is preferred, because published label subsets use its numbering, unless its images are not
    there and those of the other one are. Classes 1, 2, ... become the labels 0, 1, ...

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded". classes: number of classes.
    train_size, test_size: required numbers of images, 8,144 and 8,041 in the real edition.

    Raises
    ------
    DmixError: the data are missing, of the other edition, or inconsistent with themselves or the settings.
    """
    place = locate(root, FOLDER, "cars", edition, "run: dmix data import cars PATH")
    named, splits = _devkit(place) if _is_split(place) else _merged(place)
    return dataset(place, splits, named, classes=classes, train_size=train_size, test_size=test_size)


def _is_split(place: Place) -> bool:
    """Return whether the form with a list for each split is the one to read.

    Raises
    ------
    DmixError: neither form has its list.
    """
    merged, split = ((place.folder / name).exists() for name in (MERGED, META))
    if not (merged or split):
        deeper = advice(place.folder, META) or advice(place.folder, MERGED)
        raise place.fault(f"{place.folder} has neither {MERGED} nor {META}{deeper}")
    if not (merged and split) or not all(
        (place.folder / name).is_dir() for name in ("cars_train", "cars_test")
    ):
        return split and not merged
    _, listed = _merged(place)
    return not all((place.folder / path).exists() for rows in listed.values() for path, _ in rows)


def _merged(place: Place) -> tuple[int, Mapping[str, list[Row]]]:
    """Return the number of named classes and the rows of both splits from the merged list."""
    found = _load(place, MERGED)
    named = _class_count(place, MERGED, found)
    splits: dict[str, list[Row]] = {"train": [], "test": []}
    for where, (path, number, test) in _table(place, MERGED, found, "relative_im_path", "class", "test"):
        label = _among(place, f"{where}: class", number, range(1, named + 1)) - 1
        split = "test" if _among(place, f"{where}: test", test, range(2)) else "train"
        splits[split].append((_text(place, f"{where}: relative_im_path", path), label))
    return named, splits


def _devkit(place: Place) -> tuple[int, Mapping[str, list[Row]]]:
    """Return the number of named classes and the rows of both splits from the devkit's lists."""
    named = _class_count(place, META, _load(place, META))
    beside = (place.folder / TEST).exists()
    splits: dict[str, list[Row]] = {}
    for split, name in (("train", TRAIN), ("test", TEST if beside else f"devkit/{TEST}")):
        splits[split] = [
            (
                f"cars_{split}/{_text(place, f'{where}: fname', path)}",
                _among(place, f"{where}: class", number, range(1, named + 1)) - 1,
            )
            for where, (path, number) in _table(place, name, _load(place, name), "fname", "class")
        ]
    return named, splits


def _load(place: Place, name: str) -> dict[str, Any]:
    """Return those of the variables "annotations" and "class_names" that a .mat file has."""
    content = read_content(place, name)
    try:
        return read_mat(content, ("annotations", "class_names"))
    except ValueError as error:
        raise place.fault(f"{place.folder / name} is damaged: {error}") from error


def _class_count(place: Place, name: str, found: Mapping[str, Any]) -> int:
    count = np.size(found.get("class_names", ()))
    if not count:
        raise place.fault(f"{place.folder / name} has no 'class_names'")
    return count


def _table(
    place: Place, name: str, found: Mapping[str, Any], *fields: str
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the location (for messages) and the `fields` of every annotation."""
    table = np.atleast_1d(found.get("annotations", ()))  # squeeze_me drops the axis of a single annotation
    for field in fields:
        if field not in (table.dtype.names or ()):
            raise place.fault(f"{place.folder / name} has no 'annotations' with the field {field!r}")
    columns = zip(*(table[field] for field in fields), strict=True)
    return (
        (f"{place.folder / name}: annotation {row}", values) for row, values in enumerate(columns, start=1)
    )


def _among(place: Place, where: str, value: Any, allowed: range) -> int:
    """Return a MATLAB number, which may be a float, as an int; it must be in `allowed`."""
    if not isinstance(value, int | float) or value not in allowed:
        raise place.fault(f"{where} is {value}, not one of {allowed[0]} to {allowed[-1]}")
    return int(value)


def _text(place: Place, where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise place.fault(f"{where} is {value}, not the path of an image")
    return value
