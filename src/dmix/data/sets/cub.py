"""CUB-200-2011 (Caltech-UCSD Birds), real or embedded edition."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.sets.dataset import Dataset
from dmix.data.sets.listed import Line, Place, Row, dataset, locate, read_keyed_lines
from dmix.data.sets.stated_class import require_same
from dmix.part import part

FOLDER = "CUB_200_2011"
IMAGES, LABELS, SPLITS, CLASSES = (
    "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt",
)  # fmt: skip


@part
def cub(
    root: Path,
    *,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Read `root/<edition>/CUB_200_2011`, the unpacked archive; bounding boxes and key points are not used.

    images.txt, image_class_labels.txt and train_test_split.txt refer to images by id and may each be in any
    order. An image's folder has the name of its class. Class ids 1, 2, ... become the labels 0, 1, ...

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded". classes: number of classes.
    train_size, test_size: required numbers of images, 5,994 and 5,794 in the real edition.

    Raises
    ------
    DmixError: the data are missing, of the other edition, or inconsistent with themselves or the settings.
    """
    place = locate(root, FOLDER, "cub", edition, "run: dmix data fetch cub")
    paths, class_ids, flags, names = (
        read_keyed_lines(place, name) for name in (IMAGES, LABELS, SPLITS, CLASSES)
    )
    _require_same_ids(place, paths, class_ids, LABELS)
    _require_same_ids(place, paths, flags, SPLITS)
    labels = {str(label + 1): label for label in range(len(names))}
    if names.keys() != labels.keys():
        raise place.fault(f"{place.folder / CLASSES}: the class ids are not 1 to {len(names)}")
    splits: dict[str, list[Row]] = {"train": [], "test": []}
    for image, path in paths.items():
        class_id, flag = class_ids[image], flags[image]
        if class_id.text not in labels:
            raise place.fault(f"{class_id.where}: the class {class_id.text} is not among 1 to {len(names)}")
        if flag.text not in ("0", "1"):
            raise place.fault(f"{flag.where}: {flag.text} is neither 1 (training) nor 0 (test)")
        splits["train" if flag.text == "1" else "test"].append((f"images/{path.text}", labels[class_id.text]))
    sizes = {"classes": classes, "train_size": train_size, "test_size": test_size}
    found = dataset(place, splits, len(names), **sizes)
    known = {line.text for line in names.values()}
    require_same(
        place,
        (
            (f"images/{path.text}", folder, names[class_ids[image].text].text)
            for image, path in paths.items()
            if (folder := path.text.partition("/")[0]) in known
        ),
        LABELS,
    )
    return found


def _require_same_ids(place: Place, paths: Mapping[str, Line], other: Mapping[str, Line], name: str) -> None:
    for image, line in paths.items():
        if image not in other:
            raise place.fault(f"{place.folder / name} has no line for image {image} ({line.where})")
    for image, line in other.items():
        if image not in paths:
            raise place.fault(f"{line.where}: image {image} is not in {IMAGES}")
