"""Tiny-ImageNet's folder as its archive unpacks, written here file by file, and every way it can be wrong."""

import colorsys
import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dmix.data.embedded import editions as embedded
from dmix.data.embedded import masks
from dmix.data.sets import marker
from dmix.data.sets.tiny_imagenet import tiny_imagenet
from dmix.errors import DmixError

IDS = ["n02124075", "n04067472", "n01443537"]  # as on top of the genuine wnids.txt: not sorted
SETTINGS = {"edition": "real", "classes": 3, "train_size": 12, "test_size": 5, "image_size": 64}
VAL = ["n04067472", "n01443537", "n01443537", "n02124075", "n04067472"]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(pixels: np.ndarray, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def image(seed: int) -> tuple[bytes, np.ndarray]:
    """Bytes and pixels: mostly PNG, whose pixels are known without a decoder; some JPEG, some grey."""
    if seed % 4 == 1:
        pixels = noise(seed, 64, 64)
        return encoded(pixels, "PNG"), np.repeat(pixels[..., None], 3, axis=2)
    if seed % 4 == 2:
        content = encoded(noise(seed, 8, 8, 3).repeat(8, 0).repeat(8, 1), "JPEG", quality=80)
        return content, np.asarray(Image.open(io.BytesIO(content)))
    if seed % 4 == 3:
        content = encoded(noise(seed, 64, 64), "JPEG", quality=80)
        return content, np.repeat(np.asarray(Image.open(io.BytesIO(content)))[..., None], 3, axis=2)
    pixels = noise(seed, 64, 64, 3)
    return encoded(pixels, "PNG"), pixels


@pytest.fixture
def place(tmp_path) -> Path:
    """Three classes of four train images and five val images."""
    place = tmp_path / "real" / "tiny-imagenet-200"
    for number, wnid in enumerate(IDS):
        folder = place / "train" / wnid
        (folder / "images").mkdir(parents=True)
        (folder / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t10\t63\t58\n")
        for rank, name in enumerate(("0", "10", "2", "1")):
            (folder / "images" / f"{wnid}_{name}.JPEG").write_bytes(image(4 * number + rank)[0])
    (place / "val" / "images").mkdir(parents=True)
    for number in range(len(VAL)):
        (place / "val" / "images" / f"val_{number}.JPEG").write_bytes(image(100 + number)[0])
    lines = [f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62" for number, wnid in enumerate(VAL)]
    (place / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (place / "wnids.txt").write_text("\n".join(IDS) + "\n")
    (place / "words.txt").write_text("n00001740\tentity\nn01443537\tgoldfish, Carassius auratus\n")
    (place / "test" / "images").mkdir(parents=True)
    (place / "test" / "images" / "test_0.JPEG").write_bytes(image(0)[0])
    return place


def read(place: Path, **changes):
    return tiny_imagenet(place.parents[1], **{**SETTINGS, **changes})


def test_it_is_read_to_the_very_labels_and_pixels(place):
    found = read(place)

    assert (found.name, found.edition, found.classes) == ("tiny_imagenet", "real", 3)
    # n01443537 is 0, n02124075 is 1, n04067472 is 2; within a class 0, 1, 10, 2 were written as 0, 3, 1, 2
    assert found.splits["train"].labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for row, seed in enumerate([8, 11, 9, 10, 0, 3, 1, 2, 4, 7, 5, 6]):
        np.testing.assert_array_equal(found.splits["train"].images[row], image(seed)[1].transpose(2, 0, 1))
    assert found.splits["test"].labels.tolist() == [2, 0, 0, 1, 2]
    for row in range(5):
        np.testing.assert_array_equal(
            found.splits["test"].images[row], image(100 + row)[1].transpose(2, 0, 1)
        )


def test_the_order_of_the_lists_does_not_matter(place):
    before = read(place).fingerprint
    for name in ("wnids.txt", "val/val_annotations.txt"):
        lines = (place / name).read_text().splitlines()
        (place / name).write_bytes("\r\n".join(reversed(lines)).encode())
    assert read(place).fingerprint == before


@pytest.mark.parametrize("size", [32, 16])
def test_smaller_images_are_block_means(place, size):
    images = read(place).splits["test"].images.astype(int)
    block = 64 // size
    found = read(place, image_size=size).splits["test"].images
    for (n, c, y, x), value in np.ndenumerate(found[:2, :, ::5, ::5]):
        y, x = 5 * block * y, 5 * block * x
        assert value == int(np.floor(images[n, c, y : y + block, x : x + block].mean() + 0.5))
    assert found.shape == (5, 3, size, size)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("train_size", 100_000, "holds 12 train images, the settings say 100000"),
        ("test_size", 4, "holds 5 test images, the settings say 4"),
        ("classes", 200, "holds 3 classes, the settings say 200"),
        ("image_size", 48, "image_size of tiny_imagenet is 48"),
    ],
)
def test_settings_that_the_files_do_not_meet(place, setting, value, message):
    with pytest.raises(DmixError, match=message) as caught:
        read(place, **{setting: value})
    assert "params.yaml" in caught.value.way_out


def test_a_missing_edition_says_the_way_out(tmp_path):
    with pytest.raises(DmixError, match=r"tiny_imagenet \(real edition\) is missing") as caught:
        tiny_imagenet(tmp_path, **SETTINGS)
    assert caught.value.way_out == "run: dmix data fetch tiny_imagenet"


def rewrite(place: Path, name: str, old: str, new: str) -> None:
    text = (place / name).read_text()
    assert old in text
    (place / name).write_text(text.replace(old, new))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


ANNOTATIONS, ONE = "val/val_annotations.txt", "train/n02124075/images/n02124075_2.JPEG"
DAMAGES = {
    "unknown class": (
        lambda p: rewrite(p, ANNOTATIONS, "val_3.JPEG\tn02124075", "val_3.JPEG\tn09999999"),
        r"val_annotations\.txt:4: the class n09999999 is not in wnids\.txt",
    ),
    "annotated image missing": (
        lambda p: (p / "val/images/val_2.JPEG").unlink(),
        r"val_annotations\.txt:3: the image .*val/images/val_2\.JPEG is missing",
    ),
    "image without annotation": (
        lambda p: shutil.copy(p / "val/images/val_2.JPEG", p / "val/images/val_9.JPEG"),
        r"val_9\.JPEG has no line in val/val_annotations\.txt",
    ),
    "annotated twice": (
        lambda p: rewrite(p, ANNOTATIONS, "val_3.JPEG", "val_2.JPEG"),
        r"val_annotations\.txt:4: val_2\.JPEG comes a second time",
    ),
    "no class in a line": (
        lambda p: rewrite(p, ANNOTATIONS, "val_3.JPEG\tn02124075\t0\t32\t44\t62", "val_3.JPEG"),
        r"val_annotations\.txt:4: cannot read",
    ),
    "no annotations": (lambda p: (p / ANNOTATIONS).unlink(), r"val_annotations\.txt is missing"),
    "no list of classes": (lambda p: (p / "wnids.txt").unlink(), r"wnids\.txt is missing"),
    "a class twice": (
        lambda p: rewrite(p, "wnids.txt", "n04067472", "n02124075"),
        r"wnids\.txt:2: n02124075 comes a second time",
    ),
    "class folder missing": (
        lambda p: shutil.rmtree(p / "train/n02124075"),
        r"train has no folder for the class n02124075",
    ),
    "foreign class folder": (
        lambda p: (p / "train/n09999999").mkdir(),
        r"train/n09999999 is the folder of no class",
    ),
    "empty class folder": (
        lambda p: [path.unlink() for path in (p / "train/n02124075/images").iterdir()],
        r"train/n02124075/images holds no images",
    ),
    "no images folder": (
        lambda p: shutil.rmtree(p / "train/n02124075/images"),
        r"train/n02124075/images is missing",
    ),
    "no train": (lambda p: shutil.rmtree(p / "train"), r"tiny-imagenet-200/train is missing"),
    "train is a file": (
        lambda p: (shutil.rmtree(p / "train"), (p / "train").touch()),
        r"cannot read .*train: Not a directory",
    ),
    "cut image": (lambda p: truncated(p / ONE), rf"the image {ONE} is damaged: "),
    "no image": (lambda p: (p / ONE).write_text("<html>404</html>"), rf"the image {ONE} is damaged: "),
    "other size": (
        lambda p: (p / ONE).write_bytes(encoded(noise(0, 64, 63, 3), "PNG")),
        rf"{ONE} has 63x64 pixels, not 64x64",
    ),
    "embedded in place of real": (
        lambda p: marker.write(p, "a test", 1, 12, 5, 3),
        "is the embedded edition, in the place of the real one",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_one_clear_error(place, damage):
    do, message = DAMAGES[damage]
    do(place)
    with pytest.raises(DmixError, match=message) as caught:
        read(place)
    assert caught.value.way_out


# The embedded edition


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (place,) = embedded.embed(root, ["tiny_imagenet"])
    return place


EMBEDDED = {"edition": "embedded", "classes": 20, "train_size": 500, "test_size": 200}


def test_the_embedded_edition_reads_back(drawn):
    found = read(drawn, **EMBEDDED)
    assert np.bincount(found.splits["train"].labels).tolist() == [25] * 20
    assert np.bincount(found.splits["test"].labels).tolist() == [10] * 20
    files = [path for path in drawn.rglob("*") if path.is_file()]
    assert marker.check(drawn).files.keys() == {
        path.relative_to(drawn).as_posix() for path in files if path.name != marker.NAME
    }
    assert sum(path.stat().st_size for path in files) < 1.6e6


def test_masks_images_and_labels_belong_together(drawn):
    """The object is in the hue of its class: red for the first ten classes, cyan for the others."""
    for split, data in read(drawn, **EMBEDDED).splits.items():
        found = masks.read(drawn, split)
        assert found.shape == (len(data), 64, 64)
        coloured = 0
        for pixels, label, mask in zip(data.images, data.labels, found, strict=True):
            if (pixels[0] == pixels[1]).all():  # grey
                continue
            hue, saturation, _ = colorsys.rgb_to_hsv(*pixels[:, mask].mean(axis=1) / 255)
            assert abs((hue - 0.5 * (label // 10) + 0.5) % 1 - 0.5) < 0.07
            assert saturation > 0.5
            coloured += 1
        assert coloured == len(data) * 19 / 20


def test_boxes_are_those_of_the_masks(drawn):
    found = masks.read(drawn, "test")
    lines = sorted((drawn / "val" / "val_annotations.txt").read_text().splitlines())
    for line, mask in zip(lines, found, strict=True):
        _, _, *box = line.split("\t")
        rows, columns = np.nonzero(mask)
        assert [int(side) for side in box] == [columns.min(), rows.min(), columns.max(), rows.max()]
    lines = (drawn / "train/n90000003/n90000003_boxes.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [f"n90000003_{rank}.JPEG" for rank in range(25)]


def test_the_bytes_change_only_together_with_the_version(drawn):
    """Where this fails on purpose: raise embedded.VERSION, then note the new digest here."""
    digest = hashlib.sha256((drawn / marker.NAME).read_bytes()).hexdigest()[:16]
    assert (embedded.VERSION, digest) == (2, "215a609e5800294a")


def test_damage_deep_inside_is_seen_and_mended(drawn, tmp_path):
    place = tmp_path / "embedded" / "tiny-imagenet-200"
    shutil.copytree(drawn, place)
    victim = place / "train/n90000003/images/n90000003_7.JPEG"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1] + b"\0")
    with pytest.raises(DmixError, match=r"n90000003_7\.JPEG is missing or damaged") as caught:
        read(place, **EMBEDDED)
    assert caught.value.way_out == "run: dmix data embed"
    embedded.embed(tmp_path, ["tiny_imagenet"])
    assert victim.read_bytes() == whole
