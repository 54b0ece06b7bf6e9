"""Any data set with one folder of images for each class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dmix.data.sets.dataset import Dataset
from dmix.data.sets.image_folders import readable
from dmix.data.sets.leftovers import is_leftover
from dmix.data.sets.listed import Place, Row, dataset, locate
from dmix.data.sets.nested import advice
from dmix.data.sets.stated_class import require_own_names
from dmix.part import part

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")  # in upper case, too


@part
def class_folders(
    root: Path,
    *,
    folder: str,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Find the images in `root/<edition>/<folder>`: train/<class>/*, and val/<class>/* or test/<class>/*.

    Labels are the indices of the classes' names in sorted order, and each split is in the order of its paths,
    both as in torchvision's ImageFolder. Hidden files and folders, Thumbs.db and their like (`leftovers`) are
    passed over.

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded".
    folder: by default the name of the entry in params.yaml.
    classes, train_size, test_size: required numbers of classes and images.

    Raises
    ------
    DmixError: the data are missing, there are two test splits or none, the splits have different classes, a
        class has no images, a file is not an image, an image's name states another WordNet id than that of
        its folder, or the sizes differ from the settings.
    """
    target = root / edition / folder
    place = locate(root, folder, folder, edition, f"put it there: {target}/{{train,val}}/<class>/<image>")
    place = replace(place, way_out=f"correct {target}")
    with readable(place):
        held_out = [name for name in ("val", "test") if (target / name).is_dir()]
        if len(held_out) != 1:
            found = "both val and test" if held_out else "neither val nor test"
            deeper = "" if held_out else advice(target, "train")
            raise place.fault(f"{target} holds {found}: it needs the one that is evaluated{deeper}")
        named = {split: _classes(place, split) for split in ("train", held_out[0])}
        for one, other in (("train", held_out[0]), (held_out[0], "train")):
            if lacking := sorted(set(named[one]) - set(named[other])):
                raise place.fault(f"{target}: the class {lacking[0]} of {one} is not among those of {other}")
        splits = {"train": _rows(place, "train", named["train"])}
        splits["test"] = _rows(place, held_out[0], named["train"])
        for rows in splits.values():
            require_own_names(place, ((path, named["train"][label]) for path, label in rows))
    sizes = {"classes": classes, "train_size": train_size, "test_size": test_size}
    return dataset(place, splits, len(named["train"]), **sizes)


def _classes(place: Place, split: str) -> list[str]:
    classes = []
    for path in _visible(place.folder / split):
        if not path.is_dir():
            raise place.fault(f"{path} is not the folder of a class")
        classes.append(path.name)
    return classes


def _rows(place: Place, split: str, classes: list[str]) -> list[Row]:
    rows = []
    for label, name in enumerate(classes):
        images = list(_visible(place.folder / split / name))
        if not images:
            raise place.fault(f"{place.folder / split / name} holds no images")
        for path in images:
            if path.suffix.lower() not in ENDINGS or not path.is_file():
                raise place.fault(f"{path} is no image: those end in {', '.join(ENDINGS)}")
            rows.append((f"{split}/{name}/{path.name}", label))
    return rows


def _visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if not is_leftover(path.name):
            yield path
