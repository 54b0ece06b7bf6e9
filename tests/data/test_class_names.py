"""Names of classes, in the order of their labels, of every data set that ships with dmix."""

from __future__ import annotations

import numpy as np
import pytest

from dmix.data.embedded.procedural import class_name
from dmix.data.sets.class_names import class_names
from dmix.data.sets.dataset import Dataset, Split
from dmix.engine.parts import load_part
from project import real_params

DRAWN = [class_name(label) for label in range(100)]
FINE = [[class_name(20 * part + label).capitalize() for label in range(20)] for part in range(3)]
EXPECTED = {
    "cifar10": [str(digit) for digit in range(10)],
    "cifar100": DRAWN,
    "cub": [f"{label:03d}.{name}" for label, name in enumerate(FINE[0], start=1)],
    "aircraft": [name.replace("_", " /"[label % 2]) for label, name in enumerate(FINE[1])],
    "cars": [name.replace("_", " ") for name in FINE[2]],
}
FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def loaded(name, root):
    entry = real_params()["datasets"][name]
    settings = {**entry, **entry["embedded"], "edition": "embedded"}
    settings = {key: value for key, value in settings.items() if key not in ("title", "embedded")}
    settings.setdefault("use", name)
    if name in FOLDERS:
        settings["folder"] = FOLDERS[name]
    return load_part("dataset", settings, root), settings


@pytest.mark.parametrize("name", EXPECTED)
def test_names_are_those_that_were_written(name, embedded_data):
    dataset, settings = loaded(name, embedded_data)
    assert class_names(dataset, settings, embedded_data) == tuple(EXPECTED[name])


@pytest.mark.parametrize(
    ("name", "folder"), [("imagenet", "imagenet"), ("tiny_imagenet", "tiny-imagenet-200")]
)
def test_names_are_those_of_the_folders(name, folder, embedded_data):
    dataset, settings = loaded(name, embedded_data)
    found = class_names(dataset, settings, embedded_data)
    train = embedded_data / "embedded" / folder / "train"
    assert list(found) == sorted(place.name for place in train.iterdir())


def test_classes_without_names_have_their_numbers(tmp_path):
    splits = {"test": Split(np.zeros((3, 3, 2, 2), np.uint8), np.arange(3))}
    dataset = Dataset("own", "real", 3, splits)
    assert class_names(dataset, {"use": "own"}, tmp_path) == ("0", "1", "2")
