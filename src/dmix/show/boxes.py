"""Reads the bounding boxes of objects that CUB-200-2011, FGVC-Aircraft and Stanford-Cars come with.

Each set counts pixels in its own way; here, a box holds the columns x0 to x1 and the rows y0 to y1 of the
image as it is stored, from 0, ends excluded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dmix.data.sets import cars, cub
from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.data.sets.image_files import LooseFiles
from dmix.data.sets.listed import Place, read_content, read_keyed_lines

WAY_OUT = "compare the data set with its source, and get it again"
OF_CUB = "bounding_boxes.txt"
OF_AIRCRAFT = "data/images_box.txt"
EDGES = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


class Box(NamedTuple):
    """Pixels of an image: columns x0 to x1 and rows y0 to y1, from 0, ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int

    def mask(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Return uint8 (height, width): 255 in the box, else 0."""
        mask = np.zeros((height, width), np.uint8)
        mask[max(self.y0, 0) : self.y1, max(self.x0, 0) : self.x1] = 255
        return mask


Boxes = Mapping[str, Box]
"""An image's path inside the data set -> the box of its object."""


def read_boxes(dataset: Dataset) -> Boxes | None:
    """Return the box of every image of a data set; None where it comes without boxes.

    Raises
    ------
    DmixError: the file of boxes is damaged.
    """
    split = next(iter(dataset.splits.values()))
    if dataset.name not in READERS or not isinstance(split, FileSplit):
        return None
    if not isinstance(split.files, LooseFiles):
        return None
    place = Place(dataset.name, dataset.edition, split.files.root, WAY_OUT)
    return READERS[dataset.name](place)


def of_cub(place: Place) -> Boxes | None:
    """Read lines "<image id> <x> <y> <width> <height>", pixels counted from 0."""
    if not (place.folder / OF_CUB).exists():
        return None
    paths = read_keyed_lines(place, cub.IMAGES)
    found = {}
    for image, (where, text) in read_keyed_lines(place, OF_CUB).items():
        if image not in paths:
            raise place.fault(f"{where}: image {image} is not in {cub.IMAGES}")
        x, y, width, height = _numbers(place, where, text.split())
        found[f"images/{paths[image].text}"] = _box(place, where, x, y, x + width, y + height)
    return found


def of_aircraft(place: Place) -> Boxes | None:
    """Read lines "<image> <xmin> <ymin> <xmax> <ymax>", pixels counted from 1, ends included."""
    if not (place.folder / OF_AIRCRAFT).exists():
        return None
    found = {}
    for image, (where, text) in read_keyed_lines(place, OF_AIRCRAFT).items():
        x0, y0, x1, y1 = _numbers(place, where, text.split())
        found[f"data/images/{image}.jpg"] = _box(place, where, x0 - 1, y0 - 1, x1, y1)
    return found


def of_cars(place: Place) -> Boxes | None:
    """Read the annotations of both published forms, pixels counted from 1, ends included."""
    tables = {cars.MERGED: "", cars.TRAIN: "cars_train/", cars.TEST: "cars_test/"}
    tables[f"devkit/{cars.TEST}"] = "cars_test/"
    found: dict[str, Box] = {}
    for name, folder in tables.items():
        if not (place.folder / name).exists():
            continue
        table = _annotations(place, name)
        fields = table.dtype.names or ()
        path = next((field for field in ("relative_im_path", "fname") if field in fields), None)
        if path is None or not set(EDGES) <= set(fields):
            return None
        for number, row in enumerate(table, start=1):
            where = f"{place.folder / name}: annotation {number}"
            x0, y0, x1, y1 = _numbers(place, where, [row[edge] for edge in EDGES])
            found[f"{folder}{row[path]}"] = _box(place, where, x0 - 1, y0 - 1, x1, y1)
    return found


READERS: Mapping[str, Callable[[Place], Boxes | None]] = {
    "cub": of_cub,
    "aircraft": of_aircraft,
    "cars": of_cars,
}


def _annotations(place: Place, name: str) -> npt.NDArray[Any]:
    from scipy.io import loadmat  # type: ignore[import-untyped]

    content = read_content(place, name)
    try:
        found = loadmat(io.BytesIO(content), squeeze_me=True, variable_names=("annotations",))
    except Exception as error:  # any: on damaged files scipy even raises ZeroDivisionError
        raise place.fault(f"{place.folder / name} is damaged: {error or type(error).__name__}") from error
    return np.atleast_1d(found.get("annotations", ()))


def _numbers(place: Place, where: str, values: list[Any]) -> tuple[float, float, float, float]:
    try:
        x, y, z, w = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise place.fault(f"{where}: {values} are not four numbers") from error
    return x, y, z, w


def _box(place: Place, where: str, x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return the box in whole pixels, those that it covers at least half of."""
    edges = [x0, y0, x1, y1]
    if not all(np.isfinite(edges)):
        raise place.fault(f"{where}: a box has no edges {edges}")
    box = Box(*(int(np.floor(edge + 0.5)) for edge in edges))
    if box.x1 <= max(box.x0, 0) or box.y1 <= max(box.y0, 0):
        raise place.fault(f"{where}: the box {tuple(box)} (x0, y0, x1, y1) holds no pixel")
    return box
