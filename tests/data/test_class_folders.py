"""Data sets in class folders, made here, and every way they can be wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmix.data.sets.class_folders import ENDINGS, class_folders
from dmix.data.sets.dataset import FileSplit
from dmix.errors import DmixError

CLASSES = ("cat", "Dog", "äffchen")  # sorted as strings: capitals first, letters beyond ASCII last
SORTED = ("Dog", "cat", "äffchen")
SETTINGS = {"folder": "pets", "edition": "real", "classes": 3, "train_size": 9, "test_size": 6}


def colour(split: str, name: str, number: int) -> tuple[int, int, int]:
    return (100 * ("train", "val", "test").index(split), 50 * CLASSES.index(name), 10 * number)


def write(place: Path, test: str = "val") -> Path:
    """Write three training and two test images a class, in sizes of their own; pixels tell them apart."""
    for split, count in (("train", 3), (test, 2)):
        for name in CLASSES:
            folder = place / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (5 + number, 7), colour(split, name, number))
                image.save(folder / f"{number}.png")
    return place


@pytest.fixture
def pets(tmp_path) -> Path:
    return write(tmp_path / "real/pets")


def read(pets: Path, **changes):
    return class_folders(pets.parents[1], **{**SETTINGS, **changes})


@pytest.mark.parametrize("test", ["val", "test"])
def test_images_have_the_label_of_their_folder(tmp_path, test):
    found = read(write(tmp_path / "real/pets", test))
    assert (found.name, found.edition, found.classes) == ("pets", "real", 3)
    for split, folder, count in (("train", "train", 3), ("test", test, 2)):
        part = found.splits[split]
        assert isinstance(part, FileSplit)
        rows = [(label, number) for label in range(3) for number in range(count)]
        assert part.files.names == tuple(f"{folder}/{SORTED[label]}/{number}.png" for label, number in rows)
        assert part.labels.tolist() == [label for label, _ in rows]
        for index, (label, number) in enumerate(rows):
            pixels = part.image(index)
            assert pixels.shape == (7, 5 + number, 3)
            assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [
                list(colour(folder, SORTED[label], number))
            ]


@pytest.mark.parametrize("ending", [*ENDINGS, *(ending.upper() for ending in ENDINGS), ".Jpg"])
def test_all_usual_endings_are_images(pets, ending):
    (pets / "train/cat/0.png").rename(pets / f"train/cat/0{ending}")
    assert f"train/cat/0{ending}" in read(pets).splits["train"].files.names


def test_what_systems_leave_behind_is_passed_over(pets):
    before = read(pets).fingerprint
    for name in (
        ".DS_Store",
        "train/.DS_Store",
        "train/cat/._0.png",
        "val/Dog/Thumbs.db",
        "val/cat/desktop.ini",
    ):
        (pets / name).write_bytes(b"x")
    for name in ("train/.ipynb_checkpoints", "train/cat/.ipynb_checkpoints", "docs"):
        (pets / name).mkdir()
    assert read(pets).fingerprint == before


def test_a_link_to_a_folder_elsewhere_will_do(pets, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.move(pets, moved)
    pets.symlink_to(moved)
    assert len(read(pets).splits["train"]) == 9


def remove(name: str):
    return lambda place: shutil.rmtree(place / name)


def empty(place: Path) -> None:
    for path in (place / "val/Dog").iterdir():
        path.unlink()


WRONG = {
    "a class is not tested": (remove("val/cat"), "the class cat of train is not among those of val"),
    "a class is not trained": (remove("train/Dog"), "the class Dog of val is not among those of train"),
    "two test splits": (lambda place: (place / "test").mkdir(), "holds both val and test"),
    "no test split": (remove("val"), "holds neither val nor test"),
    "no training split": (remove("train"), "train is missing"),
    "no image in a class": (empty, "val/Dog holds no images"),
    "a list among the images": (lambda place: (place / "train/cat/list.txt").touch(), "list.txt is no image"),
    "a folder among the images": (lambda place: (place / "train/cat/a.png").mkdir(), "a.png is no image"),
    "a file among the classes": (lambda place: (place / "val/a.png").touch(), "val/a.png is not the folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case, pets):
    change, message = WRONG[case]
    change(pets)
    with pytest.raises(DmixError) as caught:
        read(pets)
    assert message in caught.value.message
    assert str(pets) in caught.value.message
    assert caught.value.way_out == f"correct {pets}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [("classes", "3 classes"), ("train_size", "9 train images"), ("test_size", "6 test images")],
)
def test_sizes_are_those_of_the_settings(setting, message, pets):
    with pytest.raises(DmixError, match=f"holds {message}, the settings say 77") as caught:
        read(pets, **{setting: 77})
    assert "correct the sizes of pets (real edition) in params.yaml" in caught.value.way_out


def test_a_missing_folder_is_named_with_its_place(tmp_path):
    with pytest.raises(DmixError, match="data set pets \\(real edition\\) is missing") as caught:
        class_folders(tmp_path, **SETTINGS)
    assert f"put it there: {tmp_path}/real/pets/{{train,val}}/<class>/<image>" in caught.value.way_out
