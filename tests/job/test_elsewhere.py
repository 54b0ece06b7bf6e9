"""`dmix evaluate FILE --on FOLDER`: the accuracy on other images of the same classes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from dmix import cli
from dmix.data.sets.cifar import cifar
from dmix.data.sets.dataset import FileSplit
from dmix.errors import DmixError
from dmix.grid.rebuilt import rebuilt
from dmix.job.elsewhere import find_images
from dmix.record import read_record
from every_task import CO_TUNING, CUTMIX


@pytest.fixture
def away(tmp_path, embedded_data, monkeypatch):
    """A folder with the data, and neither parameters nor runs."""
    (tmp_path / "data").symlink_to(embedded_data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def digits(away):
    """The test images of the embedded CIFAR-10 as PNG files of 32 px, in a folder for each class."""
    sizes = {"classes": 10, "train_size": 1000, "test_size": 250, "image_size": 32}
    split = cifar(away / "data", folder="cifar-10-batches-py", edition="embedded", **sizes).splits["test"]
    for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        place = away / f"digits/{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(place / f"{number}.png")
    return away / "digits"


def evaluate(place, folder, *more):
    return cli.main(["evaluate", str(place), "--on", str(folder), "--device", "cpu", *more])


def rows(told):
    """Prediction -> top-1 accuracy as printed."""
    lines = told.splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines[2:] if line.count(".") == 2}


def test_the_test_images_as_files_have_the_recorded_accuracy(every_task, digits, capfd):
    assert evaluate(every_task[CUTMIX], digits) == 0
    told = capfd.readouterr().out
    assert told.startswith(f"{CUTMIX} on {digits}: 250 images of 10 of 10 classes, on cpu")
    record = read_record(every_task[CUTMIX] / "record.json")
    assert rows(told) == {"model": round(record.scores["model"].last, 2)}
    assert "without images" not in told


def test_the_recipes_crops_are_applied(every_task, away, capfd):
    record = read_record(every_task[CO_TUNING] / "record.json")
    spec = rebuilt(record.name, record.spec)
    from dmix.engine.parts import load_dataset

    split = load_dataset(spec, away / "data").splits["test"]
    assert isinstance(split, FileSplit)
    root = away / "data/embedded/fgvc-aircraft-2013b"
    names = (root / "data/variants.txt").read_text().splitlines()
    assert any("/" in name for name in names)
    for name, label in zip(split.files.names, split.labels, strict=True):
        place = away / "planes" / names[label].replace("/", "-").upper()
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, place)
    assert evaluate(every_task[CO_TUNING], away / "planes") == 0
    expected = {name: round(scores.last, 2) for name, scores in record.scores.items()}
    assert rows(capfd.readouterr().out) == expected


def test_other_sizes_are_resized_and_classes_that_do_not_match_are_named(every_task, digits, capfd):
    shutil.rmtree(digits / "3")
    (digits / "eleven").mkdir()
    (digits / "README.txt").touch()
    path = next((digits / "4").iterdir())
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    assert evaluate(every_task[CUTMIX], digits) == 0
    told = capfd.readouterr().out
    assert "225 images of 9 of 10 classes" in told
    assert "without images: 3\n" in told
    assert "left out, of no class: eleven\n" in told


def test_a_kind_takes_no_other_images(digits, every_task, capfd):
    assert evaluate(every_task[CUTMIX], digits, "--confidence") == 2
    assert "--confidence is of the run's own test images" in capfd.readouterr().err


# Which folder is of which class


def image(folder, name="0.png"):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(folder / name)


def test_names_are_compared_by_letters_and_digits(tmp_path):
    for name in ("f-a-18", "BOEING_717", ".hidden"):
        image(tmp_path / name)
    found = find_images(tmp_path, ["Boeing 717", "F/A-18", "F-16A/B"])
    assert found.split.files.names == ("BOEING_717/0.png", "f-a-18/0.png")
    assert found.split.labels.tolist() == [0, 1]
    assert found.missing == ("F-16A/B",)
    assert found.unknown == ()


def test_names_that_differ_in_nothing_else_have_to_be_exact(tmp_path):
    for name in ("a b", "a-c"):
        image(tmp_path / name)
    found = find_images(tmp_path, ["a b", "A-B", "A C"])
    assert found.split.files.names == ("a b/0.png", "a-c/0.png")
    assert found.split.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "has no folder of a class, and the classes are cat, dog"),
        (
            lambda root: image(root / "owl"),
            "has no folder of a class; it has owl, and the classes are cat, dog",
        ),
        (lambda root: (image(root / "cat"), image(root / "Cat")), "Cat and cat are both of cat"),
        (lambda root: (root / "cat").mkdir(), "cat holds no images"),
        (lambda root: (image(root / "cat"), (root / "cat/a.txt").touch()), "cat/a.txt is no image"),
        (lambda root: root.rmdir(), "there is no folder"),
    ],
)
def test_what_is_no_folder_of_classes_is_named(make, message, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    make(root)
    with pytest.raises(DmixError) as caught:
        find_images(root, ["cat", "dog"])
    assert message in caught.value.message
