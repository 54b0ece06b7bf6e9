"""Data sets unpacked into folders too deep are refused with what to move where, and read once it is moved."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

import pytest
from test_cars import write_split

from dmix.data.obtain.import_item import import_item
from dmix.data.sets import marker
from dmix.data.sets.aircraft import aircraft
from dmix.data.sets.cars import cars
from dmix.data.sets.cifar import cifar
from dmix.data.sets.class_folders import class_folders
from dmix.data.sets.cub import cub
from dmix.data.sets.imagenet import imagenet
from dmix.data.sets.tiny_imagenet import tiny_imagenet
from dmix.errors import DmixError
from obtaining import Place, item

ADVICE = re.compile(r": what is in (\S+) belongs in (\S+): move it\n")
# Folder of the embedded edition, its loader, and what lies in the place of what (Kaggle's, mostly).
LAYOUTS = {
    "cub": ("CUB_200_2011", cub, {"CUB_200_2011": ""}),
    "cub's images": ("CUB_200_2011", cub, {"images/images": "images"}),
    "aircraft": ("fgvc-aircraft-2013b", aircraft, {"fgvc-aircraft-2013b/fgvc-aircraft-2013b": ""}),
    "aircraft's images": ("fgvc-aircraft-2013b", aircraft, {"data/images/images": "data/images"}),
    "tiny": (
        "tiny-imagenet-200",
        functools.partial(tiny_imagenet, image_size=64),
        {"tiny-imagenet-200": ""},
    ),
    "imagenet": ("imagenet", imagenet, {"ILSVRC/Data/CLS-LOC": ""}),
    "class folders": ("imagenet", functools.partial(class_folders, folder="imagenet"), {"pets/images": ""}),
    "cars": ("stanford_cars", cars, {"stanford_cars": ""}),
}


def nest(place: Path, moves: dict[str, str]) -> None:
    """Move the content of `moves`' values to their keys."""
    for deep, shallow in moves.items():
        aside = place.parent / "aside"
        (place / shallow).rename(aside)
        (place / deep).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(aside, place / deep)


def follow(error: DmixError) -> None:
    """Do what the message says."""
    deep, shallow = map(Path, ADVICE.search(f"{error.message}\n").groups())
    for path in list(deep.iterdir()):
        path.rename(shallow / path.name)
    deep.rmdir()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_message_says_what_to_move_and_that_is_enough(layout, tmp_path, embedded_data):
    folder, read, moves = LAYOUTS[layout]
    place = tmp_path / "real" / folder
    shutil.copytree(embedded_data / "embedded" / folder, place)
    sizes = marker.read(place)
    (place / marker.NAME).unlink()
    load = functools.partial(
        *(read, tmp_path),
        edition="real",
        classes=sizes.classes,
        train_size=sizes.train,
        test_size=sizes.test,
    )
    whole = load().fingerprint
    nest(place, moves)
    with pytest.raises(DmixError) as caught:
        load()
    assert len(caught.value.message.splitlines()) == 1
    follow(caught.value)
    assert load().fingerprint == whole


def test_cars_as_kaggle_has_them(tmp_path):
    """Two messages, because the images are looked for in the lists."""
    place = write_split(tmp_path)
    load = functools.partial(cars, tmp_path, edition="real", classes=3, train_size=3, test_size=2)
    whole = load().fingerprint
    nest(place, {"car_devkit/devkit": "devkit", "cars_train/cars_train": "cars_train"})
    for said in ("car_devkit", "cars_train/cars_train"):
        with pytest.raises(DmixError) as caught:
            load()
        assert f": what is in {place / said} belongs in " in caught.value.message
        follow(caught.value)
    assert load().fingerprint == whole


def test_cifar(tmp_path):
    place = tmp_path / "real/cifar-10-batches-py"
    (place / "cifar-10-batches-py").mkdir(parents=True)
    (place / "cifar-10-batches-py/data_batch_1").touch()
    sizes = {"classes": 10, "train_size": 50_000, "test_size": 10_000, "image_size": 32}
    with pytest.raises(DmixError, match="data_batch_1 is missing") as caught:
        cifar(tmp_path, folder=place.name, edition="real", **sizes)
    assert caught.value.message.endswith(f": what is in {place / place.name} belongs in {place}: move it")


def test_an_import_names_the_folders_of_the_user(tmp_path, embedded_data):
    own = tmp_path / "own"
    shutil.copytree(embedded_data / "embedded/CUB_200_2011", own / "CUB_200_2011")
    run = Place(tmp_path / "data")
    load = functools.partial(cub, edition="real", classes=2, train_size=2, test_size=2)
    with pytest.raises(DmixError) as caught:
        import_item(item(tmp_path, {"checksum": "0" * 32}), own, run.data, load, run.told.append)
    assert f": what is in {own / 'CUB_200_2011'} belongs in {own}: move it" in caught.value.message
    assert run.left() == []


def test_what_systems_leave_is_no_place_to_move_from(tmp_path, embedded_data):
    own = tmp_path / "real/CUB_200_2011"
    shutil.copytree(embedded_data / "embedded/CUB_200_2011", own / "__MACOSX/CUB_200_2011")
    with pytest.raises(DmixError, match=r"images\.txt is missing$|images\.txt is missing\n"):
        cub(tmp_path, edition="real", classes=2, train_size=2, test_size=2)
