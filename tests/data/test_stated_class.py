"""An image in the folder of another class than its name or a list states is refused, whoever reads it."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest
from test_cub import SETTINGS as CUB_SETTINGS
from test_cub import lists, write
from test_imagenet import (
    DEVKIT,
    TRAIN_TAR,
    encoded,
    packed,
    train_images,
    write_train_folders,
    write_train_tar,
    write_val_folders,
    write_val_tar,
)
from test_imagenet import write_devkit as write_devkit

from dmix.data.sets.class_folders import class_folders
from dmix.data.sets.cub import cub
from dmix.data.sets.imagenet import imagenet
from dmix.data.sets.tiny_imagenet import tiny_imagenet
from dmix.errors import DmixError

load_imagenet = functools.partial(imagenet, edition="real", classes=3, train_size=9, test_size=5)
load_folders = functools.partial(
    class_folders, folder="imagenet", edition="real", classes=3, train_size=9, test_size=5
)
load_tiny = functools.partial(
    tiny_imagenet, edition="real", classes=20, train_size=500, test_size=200, image_size=64
)
OWN, OTHER = "n01440764", "n02100735"


def exchange(one: Path, other: Path) -> None:
    """Move each of two images into the folder of the other, as counts alone would not show."""
    one.rename(other.parent / one.name)
    other.rename(one.parent / other.name)


def exchange_train(place: Path, within: str = "") -> None:
    folder = place / "train"
    exchange(folder / OWN / within / f"{OWN}_7.JPEG", folder / OTHER / within / f"{OTHER}_7.JPEG")


def exchange_val(place: Path) -> None:
    folder = place / "val"
    exchange(
        folder / "n02119789/ILSVRC2012_val_00000002.JPEG", folder / OTHER / "ILSVRC2012_val_00000001.JPEG"
    )


def exchange_in_archive(place: Path) -> None:
    images = train_images()
    images[OWN][f"{OTHER}_7.JPEG"] = images[OTHER].pop(f"{OTHER}_7.JPEG")
    images[OTHER][f"{OWN}_7.JPEG"] = images[OWN].pop(f"{OWN}_7.JPEG")
    inner = {
        f"{wnid}.tar": packed({name: encoded(seed)[0] for name, seed in of_class.items()})
        for wnid, of_class in images.items()
    }
    (place / TRAIN_TAR).write_bytes(packed(inner))


def with_wnids(place: Path) -> None:
    """Rename val images as in the editions whose names end with the WordNet id, and exchange two."""
    for path in (place / "val").glob("*/*.JPEG"):
        path.rename(path.with_name(f"{path.stem}_{path.parent.name}.JPEG"))
    folder = place / "val"
    exchange(
        folder / "n02119789/ILSVRC2012_val_00000002_n02119789.JPEG",
        folder / f"{OTHER}/ILSVRC2012_val_00000001_{OTHER}.JPEG",
    )


FOLDERS, TARS = (write_train_folders, write_val_folders), (write_train_tar, write_val_tar)
BY_NAME = f"train/{OWN}/{OTHER}_7.JPEG is in the folder of another class: by its name it is of {OTHER}"
MORE = " (and so are 1 more images)"
CASES = {
    "imagenet": (load_imagenet, FOLDERS, exchange_train, BY_NAME + MORE),
    "imagenet archive": (load_imagenet, TARS, exchange_in_archive, BY_NAME + MORE),
    "wnids in names of val": (
        load_imagenet, FOLDERS, with_wnids,
        "val/n02100735/ILSVRC2012_val_00000002_n02119789.JPEG is in the folder of another class: "
        "by its name it is of n02119789" + MORE),
    "any class folders": (load_folders, FOLDERS, exchange_train, BY_NAME + MORE),
}  # fmt: skip


def made(root: Path, writers) -> Path:
    place = root / "real/imagenet"
    place.mkdir(parents=True)
    for writer in writers:
        writer(place)
    return place


def refused(load, root: Path) -> str:
    with pytest.raises(DmixError) as caught:
        load(root)
    assert caught.value.way_out
    return caught.value.message


@pytest.mark.parametrize("case", CASES)
def test_a_name_that_states_another_class(case, tmp_path, write_devkit):
    load, writers, do, message = CASES[case]
    place = made(tmp_path, writers)
    if writers is TARS:
        write_devkit(place)
    load(tmp_path)
    do(place)
    assert refused(load, tmp_path) == f"{place}/{message}"


def test_val_is_compared_with_the_development_kit_that_lies_beside(tmp_path, write_devkit):
    place = made(tmp_path, FOLDERS)
    write_devkit(place)
    whole = load_imagenet(tmp_path).fingerprint
    exchange_val(place)
    message = f"is in the folder of another class: by {DEVKIT} it is of "
    assert f"val/{OTHER}/ILSVRC2012_val_00000002.JPEG {message}n02119789{MORE}" in refused(
        load_imagenet, tmp_path
    )
    (place / DEVKIT).unlink()
    assert load_imagenet(tmp_path).fingerprint != whole  # nothing else can tell
    (place / DEVKIT).write_bytes(b"PK")
    assert "is not the genuine archive" in refused(load_imagenet, tmp_path)


def test_names_without_a_wordnet_id_state_nothing(tmp_path):
    place = made(tmp_path, FOLDERS)
    (place / "train" / OWN / f"{OWN}_7.JPEG").rename(place / "train" / OWN / "cat.JPEG")
    (place / "train" / OWN / f"{OWN}_18.JPEG").rename(place / "train" / OWN / "photon02119789.JPEG")
    assert len(load_imagenet(tmp_path).splits["train"]) == 9


def test_tiny_imagenet(tmp_path, embedded_data):
    place = tmp_path / "real/tiny-imagenet-200"
    shutil.copytree(embedded_data / "embedded" / place.name, place)
    (place / "DMIX_EMBEDDED.json").unlink()
    load_tiny(tmp_path)
    one, other = "n90000003", "n90000011"
    exchange(place / f"train/{one}/images/{one}_7.JPEG", place / f"train/{other}/images/{other}_3.JPEG")
    assert refused(load_tiny, tmp_path) == (
        f"{place}/train/{one}/images/{other}_3.JPEG is in the folder of another class: "
        f"by its name it is of {other}{MORE}"
    )


def test_cub_whose_list_and_folders_differ(tmp_path):
    contents = lists()
    labels = contents["image_class_labels.txt"]
    labels[labels.index("3 2")], labels[labels.index("9 9")] = "3 9", "9 2"
    write(tmp_path, contents)
    message = refused(functools.partial(cub, **CUB_SETTINGS), tmp_path)
    assert message.endswith(
        "images/009.Brewer_Blackbird/Brewer_Blackbird_0028_2682.jpg is in the folder of another class: "
        f"by image_class_labels.txt it is of 002.Laysan_Albatross{MORE}"
    )
