"""Stanford-Cars in both published forms, its .mat files nested as MATLAB nests them, and all their faults."""

import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dmix.data.sets import marker
from dmix.data.sets.cars import cars
from dmix.errors import DmixError
from dmix.vision import torchvision

NAMES = ["AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012", "smart fortwo Convertible 2012"]
# path, class, test: not in the order of the paths
ANNOTATIONS = [
    ("car_ims/000004.jpg", 2, 1),
    ("car_ims/000001.jpg", 1, 0),
    ("car_ims/000006.jpg", 3, 1),
    ("car_ims/000002.jpg", 3, 0),
    ("car_ims/000003.jpg", 2, 0),
]
TRAIN = [("00002.jpg", 3), ("00001.jpg", 1), ("00003.jpg", 2)]
TEST = [("00002.jpg", 1), ("00001.jpg", 3)]
SETTINGS = {"edition": "real", "classes": 3, "train_size": 3, "test_size": 2}
IMPORT = "run: dmix data import cars PATH"
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
MERGED = ("relative_im_path", *BOX, "class", "test")
SPLIT = (*BOX, "class", "fname")


def scalar(value) -> np.ndarray:
    """Return a number as MATLAB stores it: a matrix of one element."""
    if isinstance(value, int):
        return np.array([[value]], np.uint8 if value < 256 else np.uint16)
    return np.array([[value]]) if isinstance(value, float) else value


def structs(fields, rows) -> np.ndarray:
    """Return a 1 x N struct array."""
    array = np.empty((1, len(rows)), [(field, object) for field in fields])
    for number, row in enumerate(rows):
        array[0, number] = tuple(scalar(value) for value in row)
    return array


def cells(texts) -> np.ndarray:
    """Return a 1 x N cell array."""
    array = np.empty((1, len(texts)), object)
    array[0, :] = texts
    return array


def mat(compressed: bool = True, **variables) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def merged_rows(annotations=ANNOTATIONS) -> list[tuple]:
    return [(path, 30, 52, 1246, 147, number, test) for path, number, test in annotations]


def split_rows(annotations) -> list[tuple]:
    return [(39, 116, 569, 375, number, name) for name, number in annotations]


def merged(**changes) -> bytes:
    given = {"annotations": structs(MERGED, merged_rows()), "class_names": cells(NAMES), **changes}
    return mat(**{name: value for name, value in given.items() if value is not None})


def picture(path: Path, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, 30), (10, 20, 200)).save(path, "JPEG")


def write_merged(root: Path, content: bytes) -> Path:
    folder = root / "real" / "stanford_cars"
    for number, (path, _, _) in enumerate(ANNOTATIONS):
        picture(folder / path, 40 + number)
    (folder / "cars_annos.mat").write_bytes(content)
    return folder


def write_split(root: Path, train=TRAIN, test=TEST, test_at="cars_test_annos_withlabels.mat") -> Path:
    folder = root / "real" / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    for part, rows in (("cars_train", train), ("cars_test", test)):
        for name, number in rows:
            picture(folder / part / name, 40 + number)
    (folder / "devkit" / "cars_meta.mat").write_bytes(mat(class_names=cells(NAMES)))
    annotations = mat(annotations=structs(SPLIT, split_rows(train)))
    (folder / "devkit" / "cars_train_annos.mat").write_bytes(annotations)
    (folder / test_at).write_bytes(mat(annotations=structs(SPLIT, split_rows(test))))
    return folder


def check_merged(found) -> None:
    assert (found.name, found.edition, found.classes) == ("cars", "real", 3)
    train, test = found.splits["train"], found.splits["test"]
    assert train.files.names == ("car_ims/000001.jpg", "car_ims/000002.jpg", "car_ims/000003.jpg")
    assert train.labels.tolist() == [0, 2, 1]
    assert test.files.names == ("car_ims/000004.jpg", "car_ims/000006.jpg")
    assert test.labels.tolist() == [1, 2]
    assert train.labels.dtype == test.labels.dtype == np.int64
    assert train.image(1).shape == (30, 43, 3)


def test_the_merged_file_is_read(tmp_path):
    write_merged(tmp_path, merged())
    check_merged(cars(tmp_path, **SETTINGS))


def test_numbers_may_be_floating_and_nothing_compressed(tmp_path):
    floating = [(*row[:5], float(row[5]), float(row[6])) for row in merged_rows()]
    content = mat(
        compressed=False,
        annotations=structs(MERGED, floating),
        class_names=cells(NAMES),
        other=np.ones((3, 3)),
    )
    write_merged(tmp_path, content)
    check_merged(cars(tmp_path, **SETTINGS))


@pytest.mark.parametrize(
    "test_at", ["cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat"]
)
def test_the_devkit_is_read(tmp_path, test_at):
    write_split(tmp_path, test_at=test_at)

    found = cars(tmp_path, **SETTINGS)

    train, test = found.splits["train"], found.splits["test"]
    assert train.files.names == ("cars_train/00001.jpg", "cars_train/00002.jpg", "cars_train/00003.jpg")
    assert train.labels.tolist() == [0, 2, 1]
    assert test.files.names == ("cars_test/00001.jpg", "cars_test/00002.jpg")
    assert test.labels.tolist() == [2, 0]
    assert test.image(0).shape == (30, 43, 3)


def test_a_list_of_one_image_is_read(tmp_path):
    """Squeezing leaves a struct array of one element without an axis."""
    write_split(tmp_path, [("00001.jpg", 2)], [("00001.jpg", 3)])
    found = cars(tmp_path, edition="real", classes=3, train_size=1, test_size=1)
    assert found.splits["train"].labels.tolist() == [1]
    assert found.splits["test"].files.names == ("cars_test/00001.jpg",)


def test_torchvision_reads_the_same_images_and_labels(tmp_path):
    folder = write_split(tmp_path)
    found = cars(tmp_path, **SETTINGS)
    for split in ("train", "test"):
        reader = torchvision().datasets.StanfordCars(str(tmp_path / "real"), split)
        expected = {(str(Path(file).relative_to(folder)), int(label)) for file, label in reader._samples}
        ours = found.splits[split]
        assert set(zip(ours.files.names, ours.labels.tolist(), strict=True)) == expected


def test_the_merged_file_comes_first(tmp_path):
    write_split(tmp_path, TRAIN[:1], TEST[:1])
    write_merged(tmp_path, merged())
    check_merged(cars(tmp_path, **SETTINGS))


@pytest.mark.parametrize("merged_images", [0, 3])
def test_the_form_whose_images_are_there_is_read(tmp_path, merged_images):
    """The merged list may lie beside the other form without its images, or with some."""
    alone = cars(write_split(tmp_path / "alone").parents[1], **SETTINGS)
    folder = write_merged(tmp_path, merged())
    for path in sorted((folder / "car_ims").iterdir())[merged_images:]:
        path.unlink()
    write_split(tmp_path)
    assert cars(tmp_path, **SETTINGS).fingerprint == alone.fingerprint


def test_a_devkit_beside_the_merged_form_does_not_hide_its_missing_image(tmp_path):
    folder = write_merged(tmp_path, merged())
    write_split(tmp_path)
    shutil.rmtree(folder / "cars_test")
    (folder / "car_ims/000003.jpg").unlink()
    with pytest.raises(DmixError, match=r"car_ims/000003\.jpg is missing \(1 of 5 images are\)"):
        cars(tmp_path, **SETTINGS)


def without(field: str) -> np.ndarray:
    kept = [index for index, name in enumerate(MERGED) if name != field]
    return structs(
        [MERGED[index] for index in kept], [[row[index] for index in kept] for row in merged_rows()]
    )


def third(**changes) -> np.ndarray:
    """Return the annotations with a change in the third."""
    rows = merged_rows()
    rows[2] = tuple(changes.get(field, value) for field, value in zip(MERGED, rows[2], strict=True))
    return structs(MERGED, rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": None}, "has no 'annotations' with the field 'relative_im_path'"),
        ({"annotations": np.ones((1, 5))}, "has no 'annotations' with the field 'relative_im_path'"),
        ({"annotations": without("relative_im_path")}, "with the field 'relative_im_path'"),
        ({"annotations": without("class")}, "has no 'annotations' with the field 'class'"),
        ({"annotations": without("test")}, "has no 'annotations' with the field 'test'"),
        ({"class_names": None}, "has no 'class_names'"),
        ({"class_names": np.empty((0, 0), object)}, "has no 'class_names'"),
        ({"annotations": third(**{"class": 0})}, "annotation 3: class is 0, not one of 1 to 3"),
        ({"annotations": third(**{"class": 4})}, "annotation 3: class is 4, not one of 1 to 3"),
        ({"annotations": third(**{"class": 1.5})}, "annotation 3: class is 1.5, not one of 1 to 3"),
        ({"annotations": third(**{"class": float("nan")})}, "annotation 3: class is nan, not one of"),
        ({"annotations": third(**{"class": np.empty((0, 0))})}, "annotation 3: class is [], not one of"),
        ({"annotations": third(**{"class": "two"})}, "annotation 3: class is two, not one of 1 to 3"),
        ({"annotations": third(test=2)}, "annotation 3: test is 2, not one of 0 to 1"),
        ({"annotations": third(relative_im_path=7)}, "relative_im_path is 7, not the path of an image"),
        ({"annotations": third(relative_im_path="")}, "relative_im_path is [], not the path of an image"),
        (
            {"annotations": third(relative_im_path="car_ims/000001.jpg")},
            "the image car_ims/000001.jpg 2 times",
        ),
    ],
)
def test_content_that_is_not_as_it_should_be_is_named(tmp_path, changes, message):
    write_merged(tmp_path, merged(**changes))
    with pytest.raises(DmixError, match=re.escape(message)) as caught:
        cars(tmp_path, **SETTINGS)
    assert "stanford_cars" in caught.value.message
    assert re.fullmatch(rf"remove \S+/stanford_cars, then {IMPORT}", caught.value.way_out)


@pytest.mark.slow
def test_a_file_cut_anywhere_is_one_clear_error(tmp_path):
    content = merged()
    folder = write_merged(tmp_path, content)
    for length in range(0, len(content), len(content) // 20):
        (folder / "cars_annos.mat").write_bytes(content[:length])
        with pytest.raises(DmixError, match=r"cars_annos\.mat (is damaged: .|has no '[ac])"):
            cars(tmp_path, **SETTINGS)


def test_a_file_on_which_the_reader_crashes_is_one_clear_error(tmp_path, monkeypatch):
    write_merged(tmp_path, merged())
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -BUS $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(DmixError, match=r"cars_annos\.mat is damaged: scipy's reader crashed"):
        cars(tmp_path, **SETTINGS)


@pytest.mark.parametrize(
    "content", [b"", b"no MATLAB file", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\0" * 99]
)
def test_a_foreign_file_is_one_clear_error(tmp_path, content):
    write_merged(tmp_path, content)
    with pytest.raises(DmixError, match=r"cars_annos\.mat is damaged: .") as caught:
        cars(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/stanford_cars, then {IMPORT}", caught.value.way_out)


@pytest.mark.parametrize(
    "name", ["devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat", "cars_train/00003.jpg"]
)
def test_a_missing_file_is_named(tmp_path, name):
    folder = write_split(tmp_path)
    (folder / name).unlink()
    with pytest.raises(DmixError, match=f"{Path(name).name} is missing") as caught:
        cars(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/stanford_cars, then {IMPORT}", caught.value.way_out)


def test_a_devkit_is_checked_as_the_merged_file_is(tmp_path):
    folder = write_split(tmp_path, train=[*TRAIN[:2], ("00003.jpg", 4)])
    with pytest.raises(
        DmixError, match=r"cars_train_annos\.mat: annotation 3: class is 4, not one of 1 to 3"
    ):
        cars(tmp_path, **SETTINGS)
    test = structs([*SPLIT[:4], "fname"], [(1, 1, 9, 9, "00001.jpg"), (1, 1, 9, 9, "00002.jpg")])
    (folder / "devkit" / "cars_train_annos.mat").write_bytes(mat(annotations=test))
    with pytest.raises(DmixError, match=r"cars_train_annos\.mat has no 'annotations' with the field 'class'"):
        cars(tmp_path, **SETTINGS)
    (folder / "devkit" / "cars_meta.mat").unlink()
    with pytest.raises(DmixError, match=r"has neither cars_annos\.mat nor devkit/cars_meta\.mat") as caught:
        cars(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/stanford_cars, then {IMPORT}", caught.value.way_out)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("classes", 196, "holds 3 classes, the settings say 196"),
        ("train_size", 8144, "holds 3 train images, the settings say 8144"),
        ("test_size", 8041, "holds 2 test images, the settings say 8041"),
    ],
)
def test_settings_that_the_lists_do_not_meet(tmp_path, setting, value, message):
    write_merged(tmp_path, merged())
    with pytest.raises(DmixError, match=message) as caught:
        cars(tmp_path, **{**SETTINGS, setting: value})
    assert caught.value.way_out.startswith(
        "correct the sizes of cars (real edition) in params.yaml, or remove "
    )


def test_a_missing_or_foreign_edition_says_the_way_out(tmp_path):
    with pytest.raises(DmixError, match=r"cars \(real edition\) is missing: .*stanford_cars") as caught:
        cars(tmp_path, **SETTINGS)
    assert caught.value.way_out == IMPORT
    folder = write_merged(tmp_path, merged())
    marker.write(folder, "a test", 1, 3, 2, 3)
    with pytest.raises(DmixError, match="is the embedded edition, in the place of the real one"):
        cars(tmp_path, **SETTINGS)
