"""CUB-200-2011 as its archive unpacks, written here line by line, and every way it can be wrong."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmix.data.sets import marker
from dmix.data.sets.cub import cub
from dmix.data.sets.dataset import FileSplit
from dmix.errors import DmixError

CLASSES = [
    "001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross", "004.Groove_billed_Ani",
    "005.Crested_Auklet", "006.Least_Auklet", "007.Parakeet_Auklet", "008.Rhinoceros_Auklet",
    "009.Brewer_Blackbird", "010.Red_winged_Blackbird", "011.Rusty_Blackbird",
]  # fmt: skip
# id, class id, whether it is for training, file: the ids of a class are not in the order of the files
IMAGES = [
    (1, 1, 0, "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"),
    (2, 1, 1, "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg"),
    (3, 2, 1, "002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg"),
    (4, 2, 0, "002.Laysan_Albatross/Laysan_Albatross_0058_637.jpg"),
    (9, 9, 1, "009.Brewer_Blackbird/Brewer_Blackbird_0028_2682.jpg"),
    (10, 10, 1, "010.Red_winged_Blackbird/Red_Winged_Blackbird_0086_4161.jpg"),
    (11, 10, 1, "010.Red_winged_Blackbird/Red_Winged_Blackbird_0011_5845.jpg"),
    (100, 11, 1, "011.Rusty_Blackbird/Rusty_Blackbird_0118_6548.jpg"),
    (2000, 11, 0, "011.Rusty_Blackbird/Rusty_Blackbird_0003_6864.jpg"),
]
SETTINGS = {"edition": "real", "classes": 11, "train_size": 6, "test_size": 3}
FETCH = "run: dmix data fetch cub"


def jpeg(width: int, height: int, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (width, height), 90).save(stream, "JPEG")
    return stream.getvalue()


def lists() -> dict[str, list[str]]:
    """Every list in an order of its own, as a right reader must not mind."""
    shuffled = [IMAGES[i] for i in (4, 0, 8, 2, 6, 1, 7, 3, 5)]
    return {
        "classes.txt": [f"{number} {name}" for number, name in reversed(list(enumerate(CLASSES, 1)))],
        "images.txt": [f"{image} {file}" for image, _, _, file in reversed(IMAGES)],
        "image_class_labels.txt": [f"{image} {number}" for image, number, _, _ in shuffled],
        "train_test_split.txt": [f"{image} {flag}" for image, _, flag, _ in IMAGES],
        "bounding_boxes.txt": ["this is not read"],
    }


def write(root: Path, contents: dict[str, list[str]], end: str = "\n") -> Path:
    folder = root / "real" / "CUB_200_2011"
    for image, _, _, file in IMAGES:
        path = folder / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(30 + image % 7, 40, "L" if image == 9 else "RGB"))
    for name, lines in contents.items():
        (folder / name).write_bytes("".join(line + end for line in lines).encode())
    return folder


def test_files_and_labels_are_joined_by_id(tmp_path):
    folder = write(tmp_path, lists())

    found = cub(tmp_path, **SETTINGS)

    assert (found.name, found.edition, found.classes) == ("cub", "real", 11)
    train, test = found.splits["train"], found.splits["test"]
    assert isinstance(train, FileSplit)
    assert train.files.names == (
        "images/001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg",
        "images/002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg",
        "images/009.Brewer_Blackbird/Brewer_Blackbird_0028_2682.jpg",
        "images/010.Red_winged_Blackbird/Red_Winged_Blackbird_0011_5845.jpg",
        "images/010.Red_winged_Blackbird/Red_Winged_Blackbird_0086_4161.jpg",
        "images/011.Rusty_Blackbird/Rusty_Blackbird_0118_6548.jpg",
    )
    assert train.labels.tolist() == [0, 1, 8, 9, 9, 10]
    assert test.files.names == (
        "images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
        "images/002.Laysan_Albatross/Laysan_Albatross_0058_637.jpg",
        "images/011.Rusty_Blackbird/Rusty_Blackbird_0003_6864.jpg",
    )
    assert test.labels.tolist() == [0, 1, 10]
    assert train.labels.dtype == test.labels.dtype == np.int64
    assert train.files.read(0) == (folder / train.files.names[0]).read_bytes()
    assert train.image(0).shape == (40, 32, 3)
    assert train.image(2).shape == (40, 32, 3)  # a grey file, as the genuine set has some


def test_the_order_and_the_ends_of_lines_do_not_matter(tmp_path):
    write(tmp_path / "a", lists())
    write(tmp_path / "b", {name: sorted(lines) for name, lines in lists().items()}, end="  \r\n\n")

    a, b = (cub(tmp_path / place, **SETTINGS) for place in "ab")

    assert a.fingerprint == b.fingerprint
    assert a.splits["train"].labels.tolist() == b.splits["train"].labels.tolist()


LABELS, FLAGS = "image_class_labels.txt", "train_test_split.txt"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (LABELS, "9 9", [], "image_class_labels.txt has no line for image 9 ("),
        (LABELS, "9 9", [], "/images.txt:5)"),
        (LABELS, "9 9", ["9 9", "12 3"], "/image_class_labels.txt:2: image 12 is not in images.txt"),
        (LABELS, "1 1", ["1 0"], "/image_class_labels.txt:2: the class 0 is not among 1 to 11"),
        (LABELS, "1 1", ["1 12"], "/image_class_labels.txt:2: the class 12 is not among 1 to 11"),
        (LABELS, "1 1", ["1 1 1"], "/image_class_labels.txt:2: the class 1 1 is not among 1 to 11"),
        (FLAGS, "10 1", [], "train_test_split.txt has no line for image 10 ("),
        (FLAGS, "1 0", ["3000 0", "1 0"], "/train_test_split.txt:1: image 3000 is not in images.txt"),
        (FLAGS, "2 1", ["2 2"], "/train_test_split.txt:2: 2 is neither 1 (training) nor 0 (test)"),
        (FLAGS, "2 1", ["2"], "/train_test_split.txt:2: cannot read '2', expected two entries"),
        (FLAGS, "2 1", ["1 1"], "/train_test_split.txt:2: 1 comes a second time"),
        (FLAGS, "2 1", ["2 \0"], "/train_test_split.txt:2: zero bytes in the place of text"),
        ("classes.txt", f"7 {CLASSES[6]}", ["12 Other"], "classes.txt: the class ids are not 1 to 11"),
        ("images.txt", f"9 {IMAGES[4][3]}", [], "/image_class_labels.txt:1: image 9 is not in images.txt"),
        ("images.txt", f"3 {IMAGES[2][3]}", [f"3 {IMAGES[1][3]}"], f"image images/{IMAGES[1][3]} 2 times"),
    ],
)
def test_lists_that_contradict_each_other_are_named_with_their_line(tmp_path, name, old, new, message):
    contents = lists()
    at = contents[name].index(old)
    contents[name][at : at + 1] = new
    write(tmp_path, contents)
    with pytest.raises(DmixError, match=re.escape(message)) as caught:
        cub(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/CUB_200_2011, then {FETCH}", caught.value.way_out)
    assert caught.value.exit_code == 2


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    folder = write(tmp_path, lists())
    path = folder / "images.txt"
    path.write_bytes(path.read_bytes().replace(b"/Brewer", b"/Br\xe9wer"))
    with pytest.raises(DmixError, match=r"/images\.txt:5: not UTF-8 text"):
        cub(tmp_path, **SETTINGS)


@pytest.mark.parametrize(
    "name", ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"]
)
def test_a_missing_list_is_named(tmp_path, name):
    folder = write(tmp_path, lists())
    (folder / name).unlink()
    with pytest.raises(DmixError, match=f"{folder / name} is missing") as caught:
        cub(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/CUB_200_2011, then {FETCH}", caught.value.way_out)
    (folder / name).mkdir()
    with pytest.raises(DmixError, match=f"cannot read {folder / name}: "):
        cub(tmp_path, **SETTINGS)


def test_missing_images_are_named_and_counted(tmp_path):
    folder = write(tmp_path, lists())
    first, second = (folder / "images" / IMAGES[i][3] for i in (6, 8))
    first.unlink()
    with pytest.raises(DmixError, match=rf"{first} is missing \(1 of 9 images are\)") as caught:
        cub(tmp_path, **SETTINGS)
    assert re.fullmatch(rf"remove \S+/CUB_200_2011, then {FETCH}", caught.value.way_out)
    second.unlink()
    with pytest.raises(DmixError, match=r"\(2 of 9 images are\)"):
        cub(tmp_path, **SETTINGS)


def test_an_image_that_cannot_be_reached_is_named(tmp_path):
    folder = write(tmp_path, lists())
    image = folder / "images" / IMAGES[4][3]
    image.unlink()
    image.symlink_to(image)
    with pytest.raises(DmixError, match=f"cannot read the image {image}: "):
        cub(tmp_path, **SETTINGS)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("classes", 200, "holds 11 classes, the settings say 200"),
        ("train_size", 5994, "holds 6 train images, the settings say 5994"),
        ("test_size", 5794, "holds 3 test images, the settings say 5794"),
    ],
)
def test_settings_that_the_lists_do_not_meet(tmp_path, setting, value, message):
    write(tmp_path, lists())
    with pytest.raises(DmixError, match=message) as caught:
        cub(tmp_path, **{**SETTINGS, setting: value})
    assert caught.value.way_out.startswith(
        "correct the sizes of cub (real edition) in params.yaml, or remove "
    )


def test_a_missing_edition_says_the_way_out(tmp_path):
    with pytest.raises(DmixError, match=r"cub \(real edition\) is missing: .*real/CUB_200_2011") as caught:
        cub(tmp_path, **SETTINGS)
    assert caught.value.way_out == FETCH
    with pytest.raises(DmixError, match=r"cub \(embedded edition\) is missing: ") as caught:
        cub(tmp_path, **{**SETTINGS, "edition": "embedded"})
    assert caught.value.way_out == "run: dmix data embed"


def test_an_edition_never_passes_for_the_other(tmp_path):
    folder = write(tmp_path, lists())
    (tmp_path / "real").rename(tmp_path / "embedded")
    with pytest.raises(DmixError, match=r"DMIX_EMBEDDED\.json is missing") as caught:
        cub(tmp_path, **{**SETTINGS, "edition": "embedded"})
    assert caught.value.way_out == "run: dmix data embed"

    (tmp_path / "embedded").rename(tmp_path / "real")
    marker.write(folder, "a test", 1, 6, 3, 11)
    with pytest.raises(DmixError, match="is the embedded edition, in the place of the real one"):
        cub(tmp_path, **SETTINGS)


def test_a_damaged_embedded_edition_is_not_read(tmp_path):
    folder = write(tmp_path, lists())
    marker.write(folder, "a test", 1, 6, 3, 11)
    (tmp_path / "real").rename(tmp_path / "embedded")
    settings = {**SETTINGS, "edition": "embedded"}
    assert cub(tmp_path, **settings).edition == "embedded"

    damaged = tmp_path / "embedded" / "CUB_200_2011" / "images" / IMAGES[0][3]
    damaged.write_bytes(jpeg(50, 50))
    with pytest.raises(DmixError, match=f"{damaged} is missing or damaged") as caught:
        cub(tmp_path, **settings)
    assert caught.value.way_out == "run: dmix data embed"
