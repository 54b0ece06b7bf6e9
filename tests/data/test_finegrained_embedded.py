"""The fine-grained embedded editions: read back by the genuine sets' readers, and what is drawn in them."""

import colorsys
import hashlib
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from dmix.data.embedded import editions as embedded
from dmix.data.embedded import procedural
from dmix.data.sets import marker
from dmix.data.sets.aircraft import aircraft
from dmix.data.sets.cars import cars
from dmix.data.sets.cub import cub

READERS = {"cub": cub, "aircraft": aircraft, "cars": cars}
SETTINGS = {"edition": "embedded", "classes": 20, "train_size": 300, "test_size": 200}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("data")
    embedded.embed(place, list(READERS))
    return place


def folder(root: Path, name: str) -> Path:
    return root / "embedded" / embedded.EDITIONS[name].folder


def lines(root: Path, name: str, file: str) -> list[str]:
    return (folder(root, name) / file).read_text().splitlines()


@pytest.mark.parametrize("name", READERS)
def test_an_edition_is_read_by_the_genuine_reader(root, name):
    found = READERS[name](root, **SETTINGS)

    train, test = found.splits["train"], found.splits["test"]
    assert (found.name, found.edition) == (name, "embedded")
    assert np.bincount(train.labels).tolist() == [15] * 20
    assert np.bincount(test.labels).tolist() == [10] * 20
    assert not set(train.files.names) & set(test.files.names)
    assert len({split.files.read(row) for split in (train, test) for row in range(len(split))}) == 500
    sizes = {test.image(row).shape[:2] for row in range(len(test))}
    assert len(sizes) > 100
    assert 64 <= min(map(min, sizes)) < 70
    assert 100 < max(map(max, sizes)) <= 110
    assert {width > height for height, width in sizes} == {True, False}
    assert all(height != width for height, width in sizes)


@pytest.mark.parametrize("name", READERS)
def test_an_edition_is_small_and_marked(root, name):
    found = marker.check(folder(root, name))
    assert (found.train, found.test, found.classes) == (300, 200, 20)
    files = {
        str(path.relative_to(folder(root, name))) for path in folder(root, name).rglob("*") if path.is_file()
    }
    assert files == found.files.keys() | {marker.NAME}
    assert sum((folder(root, name) / file).stat().st_size for file in files) <= 1.2e6


def test_the_bytes_change_only_together_with_the_version(root):
    """Where this fails on purpose: raise embedded.VERSION, then note the new digests here."""
    digests = {
        name: hashlib.sha256((folder(root, name) / marker.NAME).read_bytes()).hexdigest()[:16]
        for name in READERS
    }
    assert (embedded.VERSION, digests) == (
        2,
        {"cub": "fd826bc19db78ea1", "aircraft": "54e8ef8aa802f8e0", "cars": "af9b8ec10f2d20a4"},
    )


def test_a_second_place_gets_the_same_bytes_on_another_day(root, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "asctime", lambda: "Thu Jan  1 00:00:00 1970")
    embedded.embed(tmp_path, ["cars"])
    markers = [(folder(place, "cars") / marker.NAME).read_bytes() for place in (root, tmp_path)]
    assert markers[0] == markers[1]
    head = (folder(root, "cars") / "cars_annos.mat").read_bytes()[:128]
    assert head[:116].decode().startswith("MATLAB 5.0 MAT-file")
    assert b"Created on" not in head
    assert head[124:] == b"\0\1IM"


def test_names_hold_what_genuine_names_hold(root):
    variants = lines(root, "aircraft", "data/variants.txt")
    assert len(set(variants)) == 20
    assert sum("/" in name for name in variants) == sum(" " in name for name in variants) == 10
    assert lines(root, "aircraft", "data/images_variant_train.txt")[10] == "0000026 Square/2"
    assert all(line.startswith("000") for line in lines(root, "aircraft", "data/images_variant_test.txt"))
    assert lines(root, "cub", "classes.txt")[18:] == ["19 019.Corner_1", "20 020.Hourglass_1"]
    assert lines(root, "cub", "images.txt")[499] == "500 020.Hourglass_1/Hourglass_1_0025_500.jpg"


def test_train_and_val_of_aircraft_make_trainval(root):
    train, val, trainval = (
        set(lines(root, "aircraft", f"data/images_variant_{split}.txt"))
        for split in ("train", "val", "trainval")
    )
    assert (len(train), len(val)) == (200, 100)
    assert train | val == trainval


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The editions without distractors, where the object is all that is saturated."""
    place = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(procedural, "DISTRACTORS", 0)
        embedded.embed(place, list(READERS))
    return place


def saturated(pixels: np.ndarray) -> np.ndarray:
    return np.ptp(pixels.astype(np.int64), axis=2) > 90


@pytest.mark.parametrize(("name", "first"), [("cub", 0), ("aircraft", 2), ("cars", 4)])
def test_an_object_has_the_hue_of_its_label(plain, name, first):
    for split in READERS[name](plain, **SETTINGS).splits.values():
        for row in range(0, len(split), 7):
            pixels = split.image(row)
            if np.ptp(pixels, axis=2).max() > 0:  # one in twenty is grey
                hue = colorsys.rgb_to_hsv(*np.median(pixels[saturated(pixels)], axis=0) / 255)[0]
                expected = (first + split.labels[row] // 10) / 6
                assert abs((hue - expected + 0.5) % 1 - 0.5) < 0.05


def test_every_class_has_its_own_shape(plain):
    """Within the ten classes of one hue, the mean of a class is nearest to its own mean on other images."""
    found = cub(plain, **SETTINGS).splits
    means = {}
    for name, split in found.items():
        for label in range(10):
            rows = np.flatnonzero(split.labels == label)
            pictures = [
                np.asarray(Image.fromarray(centred(split.image(row))).resize((16, 16))) for row in rows
            ]
            means[name, label] = np.mean(pictures, axis=0)
    for label in range(10):
        distances = [np.abs(means["test", label] - means["train", other]).sum() for other in range(10)]
        assert int(np.argmin(distances)) == label


def centred(pixels: np.ndarray) -> np.ndarray:
    """Return what is saturated, white on black, cut out."""
    mask = saturated(pixels)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1), np.uint8)
    return 255 * mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)


def test_boxes_surround_the_objects(plain):
    """JPEG blurs an object's edge by some pixels."""
    boxes = {}
    for path, box in zip(
        lines(plain, "cub", "images.txt"), lines(plain, "cub", "bounding_boxes.txt"), strict=True
    ):
        assert path.split()[0] == box.split()[0]
        x, y, width, height = map(float, box.split()[1:])
        boxes[folder(plain, "cub") / "images" / path.split()[1]] = (x, y, x + width - 1, y + height - 1)
    annotations = loadmat(folder(plain, "cars") / "cars_annos.mat", squeeze_me=True)["annotations"]
    for path, x1, y1, x2, y2, _, _ in annotations.tolist():
        boxes[folder(plain, "cars") / path] = (x1 - 1, y1 - 1, x2 - 1, y2 - 1)  # MATLAB counts from 1
    assert len(boxes) == 1000
    for path, box in list(boxes.items())[1::7]:
        mask = saturated(np.asarray(Image.open(path).convert("RGB")))
        if mask.any():
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            assert np.abs(np.subtract([columns[0], rows[0], columns[-1], rows[-1]], box)).max() <= 3
