"""ImageNet in class folders and in its official archives, made here, and every way it can be wrong."""

import hashlib
import io
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from dmix import vision
from dmix.data.embedded import editions as embedded
from dmix.data.sets import imagenet_devkit, marker
from dmix.data.sets.dataset import FileSplit
from dmix.data.sets.image_files import LooseFiles
from dmix.data.sets.imagenet import imagenet
from dmix.data.sets.tar_files import TarFiles
from dmix.errors import DmixError

SETTINGS = {"edition": "real", "classes": 3, "train_size": 9, "test_size": 5}
# In meta.mat the ids' order is not the WordNet ids'; the inner nodes of the hierarchy have higher ids.
LEAVES = {1: "n02119789", 2: "n01440764", 3: "n02100735"}
TRUTH = [3, 1, 1, 2, 3]
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def encoded(seed: int) -> tuple[bytes, np.ndarray]:
    """Bytes and RGB pixels of an image of its own size: PNG, whose pixels are known without a decoder."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 20, 2)
    grey = seed % 3 == 0
    pixels = rng.integers(0, 256, (height, width) if grey else (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue(), np.repeat(pixels[..., None], 3, axis=2) if grey else pixels


def train_images() -> dict[str, dict[str, int]]:
    """Class to file name to seed, in an order that no reader may rely on."""
    return {
        wnid: {f"{wnid}_{number}.JPEG": 10 * label + rank for rank, number in enumerate((18, 10026, 7))}
        for label, wnid in LEAVES.items()
    }


VAL_IMAGES = {f"ILSVRC2012_val_{number:08d}.JPEG": 100 + number for number in (4, 2, 5, 1, 3)}


def packed(contents: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def write_train_folders(place: Path) -> None:
    for wnid, images in train_images().items():
        (place / "train" / wnid).mkdir(parents=True)
        for name, seed in images.items():
            (place / "train" / wnid / name).write_bytes(encoded(seed)[0])


def write_train_tar(place: Path) -> None:
    inner = {
        f"{wnid}.tar": packed({name: encoded(seed)[0] for name, seed in images.items()})
        for wnid, images in train_images().items()
    }
    (place / TRAIN_TAR).write_bytes(packed(inner))


def write_val_folders(place: Path) -> None:
    for name, seed in VAL_IMAGES.items():
        folder = place / "val" / LEAVES[TRUTH[seed - 101]]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(seed)[0])


def write_val_flat(place: Path) -> None:
    (place / "val").mkdir()
    for name, seed in VAL_IMAGES.items():
        (place / "val" / name).write_bytes(encoded(seed)[0])


def write_val_tar(place: Path) -> None:
    (place / VAL_TAR).write_bytes(packed({name: encoded(seed)[0] for name, seed in VAL_IMAGES.items()}))


@pytest.fixture
def write_devkit(monkeypatch):
    """Write a devkit whose checksum is then taken for the genuine one's."""

    def write(place: Path) -> None:
        fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children",
                  "wordnet_height", "num_train_images"]  # fmt: skip
        rows = [(i, wnid, "word, word", "a gloss", 0, np.zeros(0), 0, 1300) for i, wnid in LEAVES.items()]
        rows.append((1001, "n00001740", "entity", "a gloss", 2, np.array([1, 3]), 17, 0))
        synsets = np.empty((len(rows), 1), [(field, object) for field in fields])
        for number, row in enumerate(rows):
            synsets[number, 0] = row
        stream = io.BytesIO()
        savemat(stream, {"synsets": synsets})
        folder = "ILSVRC2012_devkit_t12"
        truth = "".join(f"{label}\n" for label in TRUTH).encode()
        content = packed(
            {
                f"{folder}/readme.txt": b"",
                f"{folder}/data/meta.mat": stream.getvalue(),
                f"{folder}/data/ILSVRC2012_validation_ground_truth.txt": truth,
            },
            "w:gz",
        )
        (place / DEVKIT).write_bytes(content)
        monkeypatch.setattr(imagenet_devkit, "MD5", hashlib.md5(content).hexdigest())

    return write


def made(root: Path, *writers) -> Path:
    place = root / "real" / "imagenet"
    place.mkdir(parents=True)
    for writer in writers:
        writer(place)
    return place


def read(place: Path, **changes):
    return imagenet(place.parents[1], **{**SETTINGS, **changes})


def contents(split: FileSplit) -> list[tuple[str, int, bytes]]:
    return [(name, int(split.labels[i]), split.files.read(i)) for i, name in enumerate(split.files.names)]


def expected_train() -> list[tuple[str, int, bytes]]:
    seeds = train_images()
    return [
        (f"train/{wnid}/{name}", label, encoded(seeds[wnid][name])[0])
        for label, wnid in enumerate(("n01440764", "n02100735", "n02119789"))
        for name in (f"{wnid}_10026.JPEG", f"{wnid}_18.JPEG", f"{wnid}_7.JPEG")
    ]


def expected_test() -> list[tuple[str, int, bytes]]:
    order = [("n01440764", 0, 4), ("n02100735", 1, 1), ("n02100735", 1, 5), ("n02119789", 2, 2),
             ("n02119789", 2, 3)]  # fmt: skip
    return [
        (f"val/{wnid}/ILSVRC2012_val_{number:08d}.JPEG", label, encoded(100 + number)[0])
        for wnid, label, number in order
    ]


@pytest.mark.parametrize("train", [write_train_folders, write_train_tar])
@pytest.mark.parametrize("val", [write_val_folders, write_val_flat, write_val_tar])
def test_every_form_gives_the_same_data_set(tmp_path, write_devkit, train, val):
    if val is write_val_folders:  # which need no devkit
        found = read(made(tmp_path, train, val))
    else:
        found = read(made(tmp_path, train, val, write_devkit))
    assert (found.name, found.edition, found.classes) == ("imagenet", "real", 3)
    assert contents(found.splits["train"]) == expected_train()
    assert contents(found.splits["test"]) == expected_test()
    rows = [
        f"{split} {(name, len(content), label)}\n"
        for split, data in (("test", expected_test()), ("train", expected_train()))
        for name, label, content in data
    ]
    assert found.fingerprint == hashlib.sha256("".join(rows).encode()).hexdigest()
    again = pickle.loads(pickle.dumps(found.splits["test"]))
    assert contents(again) == expected_test()


def test_pixels_are_rgb_of_any_size(tmp_path, write_devkit):
    found = read(made(tmp_path, write_train_tar, write_val_flat, write_devkit)).splits["test"]
    for index, number in enumerate((4, 1, 5, 2, 3)):
        np.testing.assert_array_equal(found.image(index), encoded(100 + number)[1])


def test_labels_and_order_are_torchvisions(tmp_path):
    place = made(tmp_path, write_train_folders, write_val_folders)
    for split, data in read(place).splits.items():
        reference = vision.torchvision().datasets.ImageFolder(
            place / {"train": "train", "test": "val"}[split]
        )
        ours = [
            (str(place / name), label)
            for name, label in zip(data.files.names, data.labels.tolist(), strict=True)
        ]
        assert ours == reference.samples


def test_unpacked_folders_go_before_archives(tmp_path, write_devkit):
    place = made(tmp_path, write_train_folders, write_train_tar, write_val_folders, write_val_tar)
    assert isinstance(read(place).splits["train"].files, LooseFiles)
    shutil.rmtree(place / "train")
    shutil.rmtree(place / "val")
    write_devkit(place)
    assert isinstance(read(place).splits["test"].files, TarFiles)


def test_the_index_lies_beside_a_link_to_a_distant_archive(tmp_path, write_devkit):
    place = made(tmp_path, write_val_tar, write_devkit)
    far = tmp_path / "far"
    far.mkdir()
    write_train_tar(far)
    (place / TRAIN_TAR).symlink_to(far / TRAIN_TAR)
    read(place)
    assert sorted(path.name for path in place.iterdir()) == sorted(
        [DEVKIT, TRAIN_TAR, f"{TRAIN_TAR}.index.npz", VAL_TAR, f"{VAL_TAR}.index.npz"]
    )
    assert [path.name for path in far.iterdir()] == [TRAIN_TAR]


def test_the_checksum_of_the_devkit_is_the_genuine_ones():
    module = vision.torchvision().datasets.imagenet
    assert module.ARCHIVE_META["devkit"] == (imagenet_devkit.ARCHIVE, imagenet_devkit.MD5)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


TRAIN_ONE = "train/n02100735/n02100735_7.JPEG"
FOLDERS, TARS = (write_train_folders, write_val_folders), (write_train_tar, write_val_tar)
DAMAGES = {
    "no train": (FOLDERS, lambda p: shutil.rmtree(p / "train"),
                 rf"holds neither the folder train nor the archive {TRAIN_TAR}"),
    "no val": (FOLDERS, lambda p: shutil.rmtree(p / "val"),
               rf"holds neither the folder val nor the archive {VAL_TAR}"),
    "no devkit": (TARS, lambda p: (p / DEVKIT).unlink(), rf"{DEVKIT} is missing"),
    "other devkit": (TARS, lambda p: (p / DEVKIT).write_bytes(b"PK"),
                     rf"{DEVKIT} \(2 bytes\) is not the genuine archive: its md5 is"),
    "train archive cut": (TARS, lambda p: truncated(p / TRAIN_TAR), rf"{TRAIN_TAR} is cut short or damaged"),
    "val archive cut": (TARS, lambda p: truncated(p / VAL_TAR), rf"{VAL_TAR} is cut short or damaged"),
    "val number too high": (
        TARS, lambda p: (p / VAL_TAR).write_bytes(packed({"ILSVRC2012_val_00000006.JPEG": b""})),
        r"ILSVRC2012_val_00000006\.JPEG is none of the 5 validation images"),
    "val number zero": (
        TARS, lambda p: (p / VAL_TAR).write_bytes(packed({"ILSVRC2012_val_00000000.JPEG": b""})),
        r"ILSVRC2012_val_00000000\.JPEG is none of the 5 validation images"),
    "foreign file in val archive": (
        TARS, lambda p: (p / VAL_TAR).write_bytes(packed({"README": b""})),
        r"README is none of the 5 validation images"),
    "foreign file in train archive": (
        TARS, lambda p: (p / TRAIN_TAR).write_bytes(packed({"README": b""})),
        r"train/README is not <split>/<wnid>/<image>\.JPEG"),
    "member outside": (
        TARS, lambda p: (p / TRAIN_TAR).write_bytes(packed({"n1.tar": packed({"../x.JPEG": b""})})),
        r"member \.\./x\.JPEG lies outside"),
    "empty class folder": (
        FOLDERS, lambda p: [path.unlink() for path in (p / "train/n02100735").iterdir()],
        r"train/n02100735 holds no images"),
    "foreign class folder": (
        FOLDERS, lambda p: (p / "train/n02100735").rename(p / "train/dogs"),
        r"train/dogs/n02100735_10026\.JPEG is not <split>/<wnid>/<image>\.JPEG"),
    "class of val alone": (
        FOLDERS, lambda p: (p / "val/n02100735").rename(p / "val/n02100736"),
        r"the class n02100736 of val is not among those of train"),
    "empty val": (
        FOLDERS, lambda p: [shutil.rmtree(path) for path in (p / "val").iterdir()],
        r"imagenet/val holds no images"),
    "image missing": (FOLDERS, lambda p: (p / TRAIN_ONE).unlink(),
                      "holds 8 train images, the settings say 9"),
    "dangling link": (
        FOLDERS, lambda p: ((p / TRAIN_ONE).unlink(), (p / TRAIN_ONE).symlink_to("nowhere.JPEG")),
        rf"{TRAIN_ONE} is missing"),
    "archive is a folder": (
        TARS, lambda p: ((p / TRAIN_TAR).unlink(), (p / TRAIN_TAR).mkdir()),
        rf"holds neither the folder train nor the archive {TRAIN_TAR}"),
    "index cannot be read": (
        TARS, lambda p: (p / f"{TRAIN_TAR}.index.npz").mkdir(),
        rf"cannot read .*{TRAIN_TAR}\.index\.npz: Is a directory"),
    "embedded in place of real": (
        FOLDERS, lambda p: marker.write(p, "a test", 1, 9, 5, 3),
        "is the embedded edition, in the place of the real one"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_one_clear_error(tmp_path, write_devkit, damage):
    writers, do, message = DAMAGES[damage]
    place = made(tmp_path, *writers, write_devkit)
    do(place)
    with pytest.raises(DmixError, match=message) as caught:
        read(place)
    assert caught.value.way_out


def test_flat_val_images_must_be_numbered(tmp_path, write_devkit):
    place = made(tmp_path, write_train_folders, write_val_flat, write_devkit)
    (place / "val" / "cat.JPEG").touch()
    with pytest.raises(DmixError, match=r"cat\.JPEG is none of the 5 validation images"):
        read(place)


@pytest.mark.parametrize("form", [*FOLDERS, *TARS])
def test_a_damaged_image_is_named_when_it_is_decoded(tmp_path, write_devkit, form):
    place = made(tmp_path, *FOLDERS if form in FOLDERS else TARS, write_devkit)
    split, index, seed = ("train", 4, 30) if "train" in form.__name__ else ("test", 2, 105)
    whole = encoded(seed)[0]
    for path in place.rglob("*"):
        if path.is_file() and whole in path.read_bytes():  # the image's own file, or the archive around it
            path.write_bytes(path.read_bytes().replace(whole, whole[:-40] + bytes(40)))
    data = read(place).splits[split]
    data.image(index - 1)
    with pytest.raises(DmixError, match=f"the image {data.files.names[index]} is damaged"):
        data.image(index)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("train_size", 1281167, "holds 9 train images, the settings say 1281167"),
        ("test_size", 4, "holds 5 test images, the settings say 4"),
        ("classes", 1000, "holds 3 classes, the settings say 1000"),
    ],
)
def test_settings_that_the_files_do_not_meet(tmp_path, setting, value, message):
    with pytest.raises(DmixError, match=message) as caught:
        read(made(tmp_path, write_train_folders, write_val_folders), **{setting: value})
    assert "params.yaml" in caught.value.way_out


def test_a_missing_edition_says_how_to_get_it(tmp_path):
    with pytest.raises(DmixError, match=r"imagenet \(real edition\) is missing") as caught:
        imagenet(tmp_path, **SETTINGS)
    assert caught.value.way_out == "run: dmix data import imagenet PATH"


# The embedded edition


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (place,) = embedded.embed(root, ["imagenet"])
    return place


EMBEDDED = {"edition": "embedded", "classes": 20, "train_size": 400, "test_size": 100}


def test_the_embedded_edition_reads_back(drawn):
    found = read(drawn, **EMBEDDED)
    assert np.bincount(found.splits["train"].labels).tolist() == [20] * 20
    assert np.bincount(found.splits["test"].labels).tolist() == [5] * 20
    assert sum(path.stat().st_size for path in drawn.rglob("*") if path.is_file()) < 1.6e6
    for data in found.splits.values():
        images = [data.image(index) for index in range(len(data))]
        sides = np.array([image.shape[:2] for image in images])
        assert 64 <= sides.min() < 70
        assert 90 < sides.max() <= 96
        assert (sides[:, 0] != sides[:, 1]).mean() > 0.9
        grey = np.mean([(image == image[..., :1]).all() for image in images])
        assert grey == 1 / 20


def test_embedded_classes_can_be_told_apart_by_shape_and_hue(drawn):
    """Of the two hues, red belongs to the first ten classes and cyan to the others."""
    found = read(drawn, **EMBEDDED).splits["train"]
    for index, label in enumerate(found.labels):
        red, green, blue = found.image(index).reshape(-1, 3).astype(int).T
        if (red == green).all():
            continue
        vivid = abs(red - blue) > 80
        assert (np.sign(red - blue)[vivid].sum() > 0) == (label < 10)


def test_the_bytes_change_only_together_with_the_version(drawn):
    """Where this fails on purpose: raise embedded.VERSION, then note the new digest here."""
    digest = hashlib.sha256((drawn / marker.NAME).read_bytes()).hexdigest()[:16]
    assert (embedded.VERSION, digest) == (2, "67787c560045edfa")


def test_a_second_place_gets_the_same_bytes_and_damage_is_seen(drawn, tmp_path):
    (place,) = embedded.embed(tmp_path, ["imagenet"])
    assert (place / marker.NAME).read_bytes() == (drawn / marker.NAME).read_bytes()
    victim = next((place / "val" / "n90000003").iterdir())
    victim.write_bytes(victim.read_bytes()[:-1] + b"\0")
    with pytest.raises(DmixError, match=f"{victim.name} is missing or damaged") as caught:
        read(place, **EMBEDDED)
    assert caught.value.way_out == "run: dmix data embed"
