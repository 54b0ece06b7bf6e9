"""ImageNet-1k (ILSVRC2012), real or embedded edition, from class folders or the official archives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Gt

from dmix.data.sets import imagenet_devkit, tar_index
from dmix.data.sets.dataset import Dataset, FileSplit
from dmix.data.sets.image_files import ImageFiles, LooseFiles
from dmix.data.sets.image_folders import images_in, readable, subfolders
from dmix.data.sets.listed import Place, locate, require_sizes
from dmix.data.sets.nested import advice
from dmix.data.sets.stated_class import require_own_names, require_same
from dmix.data.sets.tar_files import TarFiles
from dmix.part import part

FOLDER = "imagenet"
TRAIN_ARCHIVE, VAL_ARCHIVE = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
NAME = re.compile(r"(?:train|val)/(n\d{8})/[\w.-]+\.JPEG", re.ASCII)
VAL_NUMBER = re.compile(r"/ILSVRC2012_val_(\d{8})[^/]*\Z", re.ASCII)
VAL_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG", re.ASCII)


@part
def imagenet(
    root: Path,
    *,
    edition: Literal["real", "embedded"],
    classes: Annotated[int, Gt(1)],
    train_size: Annotated[int, Gt(0)],
    test_size: Annotated[int, Gt(0)],
) -> Dataset:
    """Find the images in `root/<edition>/imagenet`; the test split is its `val`.

    Each split is read from the first of these that exists:

    - class folders, `train/<wnid>/*.JPEG` and `val/<wnid>/*.JPEG`; the latter are compared with the
      development kit if that lies beside;
    - for val, `val/*.JPEG` without class folders, and the development kit;
    - the official archives, not unpacked: ILSVRC2012_img_train.tar, and ILSVRC2012_img_val.tar with the
      development kit. An index of each is made once (`tar_index`).

    All give the same data set and fingerprint: in each, an image's name has the folder of its class, such as
    `train/n01440764/n01440764_10026.JPEG`. Labels are the indices of the WordNet ids in sorted order,
    and each split is in the order of its names, both as in torchvision's ImageFolder.

    Parameters
    ----------
    root: the folder of the editions. edition: "real" or "embedded". classes: number of classes.
    train_size, test_size: required numbers of images, 1,281,167 and 50,000 in the real edition.

    Raises
    ------
    DmixError: the data are missing, damaged, of the other edition, or differ from the settings; or an image
        is in the folder of another class than its name or the development kit states.
    """
    place = locate(root, FOLDER, "imagenet", edition, "run: dmix data import imagenet PATH")
    with readable(place):
        train, test = _train(place), _val(place)
        train_wnids, test_wnids = _wnids(place, train), _wnids(place, test)
        labels = {wnid: label for label, wnid in enumerate(sorted(set(train_wnids)))}
        if unknown := sorted(set(test_wnids) - labels.keys()):
            raise place.fault(f"{place.folder}: the class {unknown[0]} of val is not among those of train")
        require_sizes(
            place,
            {
                "classes": (len(labels), classes),
                "train images": (len(train.names), train_size),
                "test images": (len(test.names), test_size),
            },
        )
        for files, wnids in ((train, train_wnids), (test, test_wnids)):
            require_own_names(place, zip(files.names, wnids, strict=True))
        if isinstance(test, LooseFiles):  # in the other forms the kit has said the classes
            _require_val_as_in_devkit(place, test.names, test_wnids)
        splits = {
            "train": FileSplit(train, np.array([labels[wnid] for wnid in train_wnids], np.int64)),
            "test": FileSplit(test, np.array([labels[wnid] for wnid in test_wnids], np.int64)),
        }
        return Dataset(name=place.name, edition=edition, classes=classes, splits=splits)


@dataclass(frozen=True, eq=False)
class FlatFiles:
    """Images that are all in `folder`, under names as if each were in the folder of its class."""

    folder: Path
    names: tuple[str, ...]

    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the number of bytes of each file, (N,)."""
        return np.fromiter((self._path(index).stat().st_size for index in range(len(self.names))), np.int64)

    def read(self, index: int) -> bytes:
        """Return the bytes of one file."""
        return self._path(index).read_bytes()

    def _path(self, index: int) -> Path:
        return self.folder / PurePosixPath(self.names[index]).name


def _train(place: Place) -> ImageFiles:
    if (place.folder / "train").is_dir():
        return _in_class_folders(place, "train")
    index = _index(place, TRAIN_ARCHIVE, "train")
    return _in_archive(place.folder / TRAIN_ARCHIVE, index, [f"train/{name}" for name in index.names])


def _val(place: Place) -> ImageFiles:
    if not (place.folder / "val").is_dir():
        index = _index(place, VAL_ARCHIVE, "val")
        return _in_archive(place.folder / VAL_ARCHIVE, index, _by_class(place, index.names))
    if subfolders(place, "val"):
        return _in_class_folders(place, "val")
    return FlatFiles(place.folder / "val", tuple(sorted(_by_class(place, images_in(place, "val")))))


def _in_class_folders(place: Place, split: str) -> LooseFiles:
    folders = [f"{split}/{wnid}" for wnid in subfolders(place, split)]
    names = [f"{folder}/{name}" for folder in folders for name in images_in(place, folder)]
    return LooseFiles(place.folder, tuple(sorted(names)))


def _in_archive(archive: Path, index: tar_index.TarIndex, names: Sequence[str]) -> TarFiles:
    """Return the archive's members, renamed to `names` (in the archive's order) and sorted by name."""
    order = sorted(range(len(names)), key=names.__getitem__)
    return TarFiles(archive, tuple(names[i] for i in order), index.offsets[order], index.sizes[order])


def _index(place: Place, archive: str, split: str) -> tar_index.TarIndex:
    if not (place.folder / archive).is_file():
        raise place.fault(
            f"{place.folder} holds neither the folder {split} nor the archive {archive}"
            f"{advice(place.folder, split)}"
        )
    return tar_index.load(place.folder / archive)


def _by_class(place: Place, names: Sequence[str]) -> list[str]:
    """Return `val/<wnid>/<name>` for every validation image."""
    wnids = imagenet_devkit.validation_wnids(place.folder / imagenet_devkit.ARCHIVE, place.way_out)
    placed = []
    for name in names:
        match = VAL_NAME.fullmatch(name)
        if match is None or not 1 <= int(match[1]) <= len(wnids):
            raise place.fault(f"{place.folder}: {name} is none of the {len(wnids)} validation images")
        placed.append(f"val/{wnids[int(match[1]) - 1]}/{name}")
    return placed


def _require_val_as_in_devkit(place: Place, names: Sequence[str], wnids: Sequence[str]) -> None:
    """Compare the class folders of val with the development kit, if that is there.

    Raises
    ------
    DmixError: they differ, or the kit is not the genuine one.
    """
    kit = place.folder / imagenet_devkit.ARCHIVE
    if not kit.exists():
        return
    truth = imagenet_devkit.validation_wnids(kit, f"remove {kit}, or get the genuine one")
    numbers = [VAL_NUMBER.search(name) for name in names]
    require_same(
        place,
        (
            (name, wnid, truth[int(number[1]) - 1])
            for name, wnid, number in zip(names, wnids, numbers, strict=True)
            if number is not None and 1 <= int(number[1]) <= len(truth)
        ),
        imagenet_devkit.ARCHIVE,
    )


def _wnids(place: Place, files: ImageFiles) -> list[str]:
    """Return the WordNet id in every name."""
    wnids = []
    for name in files.names:
        match = NAME.fullmatch(name)
        if match is None:
            raise place.fault(f"{place.folder}: {name} is not <split>/<wnid>/<image>.JPEG")
        wnids.append(match[1])
    return wnids
