"""Names of a data set's classes, in the order of their labels, as its own files have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np

from dmix.data.sets import aircraft, cars, cifar_format, legacy_pickle, tiny_imagenet
from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.data.sets.listed import Place, read_content, read_lines
from dmix.data.sets.mat_files import read_mat

WAY_OUT = "compare the data set with its source, and get it again"


def class_names(dataset: Dataset, settings: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    """Return the names of the classes: "apple", "n01440764", "001.Black_footed_Albatross", "F/A-18".

    Data sets of a published form have a list of them. In others a class has the name of the folder of its
    test images or, where these are not in folders by class, its label's number.

    Parameters
    ----------
    dataset: as loaded by `settings`, those of the section `dataset`, from `root`, the folder of the editions.

    Raises
    ------
    DmixError: the list cannot be read.
    """
    if (listed := LISTED.get(settings["use"])) is not None:
        folder = settings.get("folder") or FOLDERS[settings["use"]]
        names = listed(Place(dataset.name, dataset.edition, root / dataset.edition / folder, WAY_OUT))
        return tuple(names)
    return _by_folder(dataset) or tuple(str(label) for label in range(dataset.classes))


def _cifar(place: Place) -> list[str]:
    layout = cifar_format.LAYOUTS[place.folder.name]
    found = legacy_pickle.loads(read_content(place, layout.meta), place.folder / layout.meta, place.way_out)
    return [name.decode() for name in found[layout.names_key]]


def _tiny_imagenet(place: Place) -> list[str]:
    return sorted(line.text for line in read_lines(place, tiny_imagenet.WNIDS))


def _aircraft(place: Place) -> list[str]:
    return [line.text for line in read_lines(place, aircraft.VARIANTS)]


def _cars(place: Place) -> list[str]:
    name = cars.MERGED if (place.folder / cars.MERGED).exists() else cars.META
    try:
        found = read_mat(read_content(place, name), ("class_names",))
    except ValueError as error:
        raise place.fault(f"{place.folder / name} is damaged: {error}") from error
    return [str(each) for each in np.atleast_1d(found["class_names"])]


LISTED: Mapping[str, Callable[[Place], list[str]]] = MappingProxyType(
    {"cifar": _cifar, "tiny_imagenet": _tiny_imagenet, "aircraft": _aircraft, "cars": _cars}
)
"""Part -> how its list of names is read."""

FOLDERS = {
    "tiny_imagenet": tiny_imagenet.FOLDER,
    "aircraft": aircraft.FOLDER,
    "cars": cars.FOLDER,
}


def _by_folder(dataset: Dataset) -> tuple[str, ...] | None:
    """Return the folder of each label's test images, if every label has one of its own."""
    split = dataset.splits["test"]
    if not isinstance(split, FileSplit):
        return None
    pairs = set(
        zip(
            split.labels.tolist(),
            (PurePosixPath(name).parent.name for name in split.files.names),
            strict=True,
        )
    )
    named = dict(pairs)
    if len(pairs) == len(named) == len(set(named.values())) == dataset.classes:
        return tuple(named[label] for label in range(dataset.classes))
    return None
