"""Shared by loaders of listed images: find an edition, read its lists, check sizes, build splits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dmix.data.sets import marker
from dmix.data.sets.dataset import Dataset, Edition, FileSplit
from dmix.data.sets.image_files import LooseFiles
from dmix.data.sets.nested import advice
from dmix.errors import DmixError

Row = tuple[str, int]  # an image's path relative to the data set's folder, and its label
Rows = Sequence[Row]


@dataclass(frozen=True)
class Place:
    """The folder of an edition, and for messages, what to do about an error in it (`way_out`)."""

    name: str
    edition: Edition
    folder: Path
    way_out: str

    def fault(self, message: str) -> DmixError:
        """Return the error with `message` and the way out."""
        return DmixError(message, self.way_out)


class Line(NamedTuple):
    """A line of a list, or the rest of it after its key; `where` is "file:line" for messages."""

    where: str
    text: str


def locate(root: Path, folder: str, name: str, edition: Edition, way_out: str) -> Place:
    """Find `root/<edition>/<folder>`.

    Parameters
    ----------
    name: the data set's name in params.yaml. way_out: how to get the real edition, for messages.

    Raises
    ------
    DmixError: the folder is missing or holds the other edition, or the embedded edition is damaged.
    """
    embedded = edition == "embedded"
    target, way = root / edition / folder, marker.WAY_OUT if embedded else way_out
    if not target.is_dir():
        raise DmixError(f"data set {name} ({edition} edition) is missing: {target}", way)
    # `dmix data fetch` does not overwrite a folder; `dmix data embed` rewrites damaged files.
    place = Place(name, edition, target, way if embedded else f"remove {target}, then {way}")
    if embedded:
        marker.check(place.folder)
    elif (place.folder / marker.NAME).exists():
        raise place.fault(f"{place.folder} is the embedded edition, in the place of the real one")
    return place


def read_content(place: Place, name: str) -> bytes:
    """Return the bytes of the file `name` of the data set.

    Raises
    ------
    DmixError: it is missing or cannot be read.
    """
    path = place.folder / name
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise place.fault(f"{path} is missing{advice(place.folder, name)}") from error
    except OSError as error:
        raise place.fault(f"cannot read {path}: {error.strerror or error}") from error


def read_lines(place: Place, name: str) -> list[Line]:
    """Return the lines of a text file that are not blank, stripped.

    Raises
    ------
    DmixError: the file is missing, or a line is not UTF-8 text.
    """
    lines = []
    for number, raw in enumerate(read_content(place, name).splitlines(), start=1):
        where = f"{place.folder / name}:{number}"
        try:
            text = raw.decode().strip()
        except UnicodeDecodeError as error:
            raise place.fault(f"{where}: not UTF-8 text") from error
        if "\0" in text:  # left by a crash during writing
            raise place.fault(f"{where}: zero bytes in the place of text")
        if text:
            lines.append(Line(where, text))
    return lines


def read_keyed_lines(place: Place, name: str) -> dict[str, Line]:
    """Return key -> value of lines "<key> <value>", in their order; a value may contain blanks.

    Raises
    ------
    DmixError: the file is missing, a line has no value, or a key occurs twice.
    """
    found: dict[str, Line] = {}
    for where, text in read_lines(place, name):
        key, *value = text.split(maxsplit=1)
        if not value:
            raise place.fault(f"{where}: cannot read {text!r}, expected two entries")
        if key in found:
            raise place.fault(f"{where}: {key} comes a second time")
        found[key] = Line(where, value[0])
    return found


def dataset(
    place: Place,
    splits: Mapping[str, Rows],
    named: int,
    *,
    classes: int,
    train_size: int,
    test_size: int,
) -> Dataset:
    """Check the rows of the splits "train" and "test", and build the data set.

    Each split is sorted by path, so that the order of lines in the lists does not matter.

    Parameters
    ----------
    named: number of classes that the data set's own lists name.
    classes, train_size, test_size: the numbers in the settings.

    Raises
    ------
    DmixError: a size differs from the settings, an image is listed twice, or a file is missing.
    """
    require_sizes(
        place,
        {
            "classes": (named, classes),
            "train images": (len(splits["train"]), train_size),
            "test images": (len(splits["test"]), test_size),
        },
    )
    paths = [path for rows in splits.values() for path, _ in rows]
    for path, times in Counter(paths).items():
        if times > 1:
            raise place.fault(f"{place.folder} lists the image {path} {times} times")
    try:
        return Dataset(
            name=place.name,
            edition=place.edition,
            classes=classes,
            splits={split: _file_split(place, rows) for split, rows in splits.items()},
        )
    except FileNotFoundError as error:  # the fingerprint reads the size of every file
        missing = [path for path in paths if not os.path.exists(place.folder / path)]  # noqa: PTH110
        raise place.fault(
            f"the image {error.filename} is missing ({len(missing)} of {len(paths)} images are)"
            f"{advice(place.folder, missing[0]) if missing else ''}"
        ) from error
    except OSError as error:
        raise place.fault(f"cannot read the image {error.filename}: {error.strerror or error}") from error


def require_sizes(place: Place, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Compare sizes with the settings; `sizes` maps a name like "train images" to (found, expected).

    Raises
    ------
    DmixError: they differ.
    """
    for what, (found, expected) in sizes.items():
        if found != expected:
            settings = f"the sizes of {place.name} ({place.edition} edition) in params.yaml"
            raise DmixError(
                f"{place.folder} holds {found} {what}, the settings say {expected}",
                f"correct {settings}, or {place.way_out}",
            )


def _file_split(place: Place, rows: Rows) -> FileSplit:
    paths, labels = zip(*sorted(rows), strict=True)
    return FileSplit(LooseFiles(place.folder, paths), np.array(labels, np.int64))
