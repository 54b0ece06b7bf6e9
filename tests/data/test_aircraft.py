"""FGVC-Aircraft 2013b as its archive unpacks, written here line by line, and every way it can be wrong."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmix.data.sets import marker
from dmix.data.sets.aircraft import aircraft
from dmix.errors import DmixError
from dmix.vision import torchvision

# Sorted neither by name nor by appearance, and one name is the beginning of another.
VARIANTS = ["Boeing 717", "737-200", "F/A-18", "F-16A/B", "Model B200", "737-20"]
TRAIN = ["1025794 F/A-18", "0034309 737-200", "0056978 737-20", "2071219 Model B200"]
VAL = ["0698580 Boeing 717", "0450014 F-16A/B"]
TRAINVAL = [TRAIN[2], VAL[1], TRAIN[0], VAL[0], TRAIN[3], TRAIN[1]]
TEST = ["1514522 F/A-18", "0747566 Boeing 717", "1008575 737-200"]
NAME = "images_variant_{}.txt".format
SETTINGS = {"edition": "real", "classes": 6, "train_size": 6, "test_size": 3}
FETCH = "run: dmix data fetch aircraft"


def lists() -> dict[str, list[str]]:
    return {
        "variants.txt": list(VARIANTS),
        NAME("train"): list(TRAIN),
        NAME("val"): list(VAL),
        NAME("trainval"): list(TRAINVAL),
        NAME("test"): list(TEST),
    }


def write(root: Path, contents: dict[str, list[str]]) -> Path:
    folder = root / "real" / "fgvc-aircraft-2013b" / "data"
    (folder / "images").mkdir(parents=True)
    for number, line in enumerate(TRAIN + VAL + TEST):
        stream = io.BytesIO()
        Image.new("RGB", (60 + number, 40), (200, 10, 30)).save(stream, "JPEG")
        (folder / "images" / f"{line[:7]}.jpg").write_bytes(stream.getvalue())
    for name, lines in contents.items():
        (folder / name).write_bytes("".join(line + "\n" for line in lines).encode())
    return folder


def check(found) -> None:
    assert (found.name, found.edition, found.classes) == ("aircraft", "real", 6)
    train, test = found.splits["train"], found.splits["test"]
    assert train.files.names == tuple(
        f"data/images/{image}.jpg"
        for image in ("0034309", "0056978", "0450014", "0698580", "1025794", "2071219")
    )
    assert train.labels.tolist() == [1, 5, 3, 0, 2, 4]
    assert test.files.names == tuple(
        f"data/images/{image}.jpg" for image in ("0747566", "1008575", "1514522")
    )
    assert test.labels.tolist() == [0, 1, 2]
    assert train.labels.dtype == test.labels.dtype == np.int64
    assert train.image(4).shape == (40, 60, 3)


def test_train_and_val_are_merged_and_labels_follow_the_list_of_variants(tmp_path):
    write(tmp_path, lists())
    check(aircraft(tmp_path, **SETTINGS))


@pytest.mark.parametrize("absent", [["train", "val"], ["trainval"], ["train"], ["val"]])
def test_either_form_of_the_training_list_will_do(tmp_path, absent):
    folder = write(tmp_path, lists())
    for split in absent:
        (folder / NAME(split)).unlink()
    check(aircraft(tmp_path, **SETTINGS))


def test_torchvision_reads_the_same_images_and_labels(tmp_path):
    folder = write(tmp_path, lists())
    found = aircraft(tmp_path, **SETTINGS)
    for ours, theirs in (("train", "trainval"), ("test", "test")):
        reader = torchvision().datasets.FGVCAircraft(str(tmp_path / "real"), theirs)
        expected = {
            (str(Path(file).relative_to(folder.parent)), label)
            for file, label in zip(reader._image_files, reader._labels, strict=True)
        }
        split = found.splits[ours]
        assert set(zip(split.files.names, split.labels.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            NAME("test"),
            TEST[1],
            ["0747566 717"],
            "_test.txt:2: the variant '717' is not in data/variants.txt",
        ),
        (NAME("test"), TEST[0], ["1514522 F-A-18"], "_test.txt:1: the variant 'F-A-18' is not in"),
        (NAME("test"), TEST[2], ["1008575"], "_test.txt:3: cannot read '1008575', expected two entries"),
        (NAME("test"), TEST[2], [TEST[0]], "_test.txt:3: 1514522 comes a second time"),
        (NAME("test"), TEST[2], [TRAIN[1]], "lists the image data/images/0034309.jpg 2 times"),
        (
            NAME("val"),
            VAL[0],
            [TRAIN[1]],
            "_val.txt:1: image 0034309 is in data/images_variant_train.txt too",
        ),
        (NAME("trainval"), TRAIN[1], ["0034309 737-20"], "together: they differ on image 0034309"),
        (NAME("trainval"), VAL[1], [], "trainval.txt is not data/images_variant_train.txt and "),
        (NAME("val"), VAL[1], [], "together: they differ on image 0450014"),
        ("variants.txt", "737-20", ["F/A-18"], "variants.txt:6: F/A-18 comes a second time"),
    ],
)
def test_lists_that_contradict_each_other_are_named_with_their_line(tmp_path, name, old, new, message):
    contents = lists()
    at = contents[name].index(old)
    contents[name][at : at + 1] = new
    write(tmp_path, contents)
    with pytest.raises(DmixError, match=re.escape(message)) as caught:
        aircraft(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/fgvc-aircraft-2013b, then {FETCH}", caught.value.way_out)


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        (["variants.txt"], "variants.txt"),
        ([NAME("test")], "images_variant_test.txt"),
        ([NAME("trainval"), NAME("val")], "images_variant_trainval.txt"),
    ],
)
def test_a_missing_list_is_named(tmp_path, absent, named):
    folder = write(tmp_path, lists())
    for name in absent:
        (folder / name).unlink()
    with pytest.raises(DmixError, match=f"{folder / named} is missing") as caught:
        aircraft(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/fgvc-aircraft-2013b, then {FETCH}", caught.value.way_out)


def test_a_missing_image_is_named(tmp_path):
    folder = write(tmp_path, lists())
    (folder / "images" / "0056978.jpg").unlink()
    with pytest.raises(DmixError, match=rf"{folder}/images/0056978\.jpg is missing \(1 of 9 images are\)"):
        aircraft(tmp_path, **SETTINGS)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("classes", 100, "holds 6 classes, the settings say 100"),
        ("train_size", 6667, "holds 6 train images, the settings say 6667"),
        ("test_size", 3333, "holds 3 test images, the settings say 3333"),
    ],
)
def test_settings_that_the_lists_do_not_meet(tmp_path, setting, value, message):
    write(tmp_path, lists())
    with pytest.raises(DmixError, match=message) as caught:
        aircraft(tmp_path, **{**SETTINGS, setting: value})
    assert caught.value.way_out.startswith(
        "correct the sizes of aircraft (real edition) in params.yaml, or remove "
    )


def test_a_missing_or_foreign_edition_says_the_way_out(tmp_path):
    with pytest.raises(
        DmixError, match=r"aircraft \(real edition\) is missing: .*fgvc-aircraft-2013b"
    ) as caught:
        aircraft(tmp_path, **SETTINGS)
    assert caught.value.way_out == FETCH
    folder = write(tmp_path, lists())
    marker.write(folder.parent, "a test", 1, 6, 3, 6)
    with pytest.raises(DmixError, match="is the embedded edition, in the place of the real one"):
        aircraft(tmp_path, **SETTINGS)
