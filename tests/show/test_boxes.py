"""Bounding boxes of the three sets in their own formats, and what a network's view makes of them."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dmix.data.embedded import finegrained_write
from dmix.data.embedded.editions import EDITIONS
from dmix.data.sets.aircraft import aircraft
from dmix.data.sets.cars import cars
from dmix.data.sets.cub import cub
from dmix.data.views.resize_crop import ResizeCrop
from dmix.data.views.ten_crop import TenCrop
from dmix.data.views.unchanged import Unchanged
from dmix.errors import DmixError
from dmix.show.boxes import Box, read_boxes
from dmix.show.rows import knows_objects, read_rows
from obtaining import load_cub, write_cub
from small_sets import dataset_of

EMBEDDED = {"edition": "embedded", "classes": 20, "train_size": 300, "test_size": 200}
CUB = "bounding_boxes.txt"
SMALL = {"edition": "real", "classes": 2, "train_size": 2, "test_size": 2}


def cub_boxes(tmp_path, *lines):
    folder = write_cub(tmp_path / "real/CUB_200_2011")
    if lines:
        (folder / CUB).write_text("".join(f"{line}\n" for line in lines))
    return load_cub(tmp_path)


def picture(path, width=30, height=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (10, 20, 200)).save(path, "JPEG")


def write_aircraft(tmp_path, *boxes):
    folder = tmp_path / "real/fgvc-aircraft-2013b"
    lists = {"train": ["0001 707", "0002 A380"], "val": [], "test": ["0003 707", "0004 A380"]}
    for number in range(1, 5):
        picture(folder / f"data/images/000{number}.jpg")
    (folder / "data/variants.txt").write_text("707\nA380\n")
    for name, lines in lists.items():
        (folder / f"data/images_variant_{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    if boxes:
        (folder / "data/images_box.txt").write_text("".join(f"{line}\n" for line in boxes))
    return aircraft(tmp_path, **SMALL)


def structs(**columns):
    fields = [(name, object) for name in columns]
    rows = np.empty((1, len(next(iter(columns.values())))), fields)
    for number, row in enumerate(zip(*columns.values(), strict=True)):
        rows[0, number] = tuple(
            value if isinstance(value, str) else np.array([[value]], np.uint16) for value in row
        )
    return rows


def edges(*boxes):
    return dict(zip(("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), zip(*boxes, strict=True), strict=True))


def names(*texts):
    cells = np.empty((1, len(texts)), object)
    cells[0, :] = texts
    return cells


def test_cub_counts_from_zero_and_gives_width_and_height(tmp_path):
    found = read_boxes(cub_boxes(tmp_path, "1 3.0 4.0 10.0 5.0", "6 0.0 0.0 1.0 2.0"))
    assert found == {
        "images/001.Black_footed_Albatross/Black_footed_Albatross_0000.jpg": Box(3, 4, 13, 9),
        "images/002.Laysan_Albatross/Laysan_Albatross_0002.jpg": Box(0, 0, 1, 2),
    }


def test_aircraft_counts_from_one_and_includes_the_ends(tmp_path):
    found = read_boxes(write_aircraft(tmp_path, "0001 1 1 30 20", "0004 4 5 13 9"))
    assert found == {"data/images/0001.jpg": Box(0, 0, 30, 20), "data/images/0004.jpg": Box(3, 4, 13, 9)}


@pytest.mark.parametrize("form", ["merged", "split"])
def test_cars_count_from_one_in_both_forms(tmp_path, form):
    from scipy.io import savemat

    folder = tmp_path / "real/stanford_cars"
    named = names("Audi", "BMW")
    boxes = edges((1, 1, 30, 20), (4, 5, 13, 9))
    expected = [Box(0, 0, 30, 20), Box(3, 4, 13, 9)]
    paths = {"train": ["1.jpg", "2.jpg"], "test": ["3.jpg", "4.jpg"]}
    if form == "merged":
        all_paths = [f"car_ims/{name}" for each in paths.values() for name in each]
        both = {key: (*values, *values) for key, values in boxes.items()}
        table = structs(relative_im_path=all_paths, **both, **{"class": [1, 2, 1, 2]}, test=[0, 0, 1, 1])
        for path in all_paths:
            picture(folder / path)
        savemat(folder / "cars_annos.mat", {"annotations": table, "class_names": named})
    else:
        (folder / "devkit").mkdir(parents=True)
        savemat(folder / "devkit/cars_meta.mat", {"class_names": named})
        for split, name in (("train", "devkit/cars_train_annos"), ("test", "cars_test_annos_withlabels")):
            table = structs(**boxes, **{"class": [1, 2]}, fname=paths[split])
            savemat(folder / f"{name}.mat", {"annotations": table})
            for path in paths[split]:
                picture(folder / f"cars_{split}" / path)
        all_paths = [f"cars_{split}/{name}" for split, each in paths.items() for name in each]
    assert read_boxes(cars(tmp_path, **SMALL)) == dict(zip(all_paths, expected * 2, strict=True))


@pytest.mark.parametrize(
    ("name", "reader", "number"),
    [("cub", cub, finegrained_write.CUB), ("cars", cars, finegrained_write.CARS)],
)
def test_boxes_of_embedded_sets_are_those_that_were_drawn(embedded_data, name, reader, number):
    dataset = reader(embedded_data, **EMBEDDED)
    found = read_boxes(dataset)
    root = embedded_data / "embedded" / EDITIONS[name].folder
    drawn = {picture.jpeg: picture.box for picture in finegrained_write._draw(number)}
    assert len(found) == len(drawn) == 500
    for path, box in found.items():
        x1, y1, x2, y2 = drawn[(root / path).read_bytes()]
        assert box == Box(x1, y1, x2 + 1, y2 + 1)


def test_sets_without_boxes(tmp_path, embedded_data):
    assert read_boxes(cub_boxes(tmp_path / "a")) is None
    assert read_boxes(write_aircraft(tmp_path / "b")) is None
    assert not knows_objects(aircraft(embedded_data, **EMBEDDED), embedded_data)
    files = dataset_of(SimpleNamespace(settings={"dataset": {"use": "cub", "classes": 2}}))
    assert read_boxes(files) is None  # no files of which there is a folder


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 3 4 10", "bounding_boxes.txt:1: ['3', '4', '10'] are not four numbers"),
        ("1 3 4 ten 5", "are not four numbers"),
        ("1 3 4 nan 5", "has no edges"),
        ("1 3 4 0 5", "holds no pixel"),
        ("1 -9 4 5 5", "holds no pixel"),
        ("7 3 4 10 5", "bounding_boxes.txt:1: image 7 is not in images.txt"),
        ("1", "expected two entries"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    dataset = cub_boxes(tmp_path, line)
    with pytest.raises(DmixError, match=re.escape(message)) as caught:
        read_boxes(dataset)
    assert caught.value.way_out


def test_an_image_without_a_box_is_named(tmp_path):
    dataset = cub_boxes(tmp_path, "1 3 4 10 5")
    with pytest.raises(DmixError, match=r"have none of the image images/001\..*_0002\.jpg"):
        read_rows(
            dataset, np.array([0]), ResizeCrop(shorter_side=24, size=24, interpolation="bilinear"), tmp_path
        )


def test_a_box_goes_through_the_view_of_its_image(tmp_path):
    """Test images are 26 and 29 rows of 30 pixels; a crop of 20 of the unresized image starts at 3, 5."""
    dataset = cub_boxes(tmp_path, "3 6 7 10 20", "6 0 0 30 29")
    view = ResizeCrop(shorter_side=26, size=20, interpolation="bilinear")
    rows = read_rows(dataset, np.array([0]), view, tmp_path)
    expected = np.zeros((20, 20), np.float32)
    expected[4:20, 1:11] = 1  # rows 7 to 26, columns 6 to 15, less 3 and 5
    np.testing.assert_array_equal(rows.cover[0], expected)
    assert rows.images.shape == (1, 3, 20, 20)
    image = dataset.splits["test"].image(0)[3:23, 5:25].transpose(2, 0, 1)
    np.testing.assert_array_equal(rows.images[0], image)
    assert rows.known == "box"


def test_of_ten_crops_the_central_one_is_shown(tmp_path):
    dataset = cub_boxes(tmp_path, "3 0 0 30 26", "6 0 0 30 29")
    rows = read_rows(dataset, np.array([0, 1]), TenCrop(side=30, size=20, interpolation="bilinear"), tmp_path)
    whole = read_rows(
        dataset, np.array([0, 1]), TenCrop(side=30, size=29, interpolation="bilinear"), tmp_path
    )
    np.testing.assert_array_equal(rows.images, whole.images[:, :, 5:25, 5:25])
    assert (rows.cover == 1).all()


def test_masks_outside_of_the_image_are_cut():
    assert Box(-3, 1, 2, 9).mask(3, 4).tolist() == [[0] * 4, [255, 255, 0, 0], [255, 255, 0, 0]]


def test_a_view_that_changes_nothing_keeps_the_box(tmp_path):
    dataset = cub_boxes(tmp_path, "3 6 7 10 20", "6 1 2 3 4")
    rows = read_rows(dataset, np.array([1]), Unchanged(), tmp_path)
    expected = np.zeros((29, 30))
    expected[2:6, 1:4] = 1
    np.testing.assert_array_equal(rows.cover[0], expected)
