"""Images kept after their first resize: the same pixels, made once, whole or not at all."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import PIL
import pytest
import torch

from disk_images import write_images
from dmix.data.augment.resize import FirstResize, ShorterSide, Square
from dmix.data.loading.cached import CachedSplit, cached
from dmix.data.sets.dataset import FileSplit
from dmix.data.sets.image_files import LooseFiles
from dmix.errors import DmixError
from dmix.lock import held

torch.set_num_threads(1)
FIRST = ShorterSide(12, "bilinear")


@pytest.fixture
def split(tmp_path) -> FileSplit:
    return write_images(tmp_path / "images", 7)


def make(split: FileSplit, folder: Path, first: FirstResize = FIRST, workers: int = 0) -> CachedSplit:
    return cached(split, first, folder, workers=workers)


def files(folder: Path, pattern: str = "*.bin") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


@pytest.mark.parametrize("workers", [0, 2])
def test_pixels_and_labels_are_those_of_the_resized_images(split, tmp_path, workers):
    kept = make(split, tmp_path / "cache", workers=workers)
    assert len(kept) == 7
    assert kept.labels.tolist() == split.labels.tolist()
    for index in (6, 0, 3, 1, 2, 4, 5):
        image = kept.image(index)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, FIRST(split.image(index)))


@pytest.mark.parametrize("workers", [0, 2])
def test_squares_are_kept_bit_for_bit(split, tmp_path, workers):
    first = Square(12, "bicubic")
    kept = make(split, tmp_path / "cache", first, workers)
    assert kept.shapes.tolist() == [[12, 12]] * 7
    for index in range(7):
        np.testing.assert_array_equal(kept.image(index), first(split.image(index)))


def test_the_file_is_pixels_then_shapes(split, tmp_path):
    kept = make(split, tmp_path / "cache")
    images = [FIRST(split.image(index)) for index in range(7)]
    shapes = np.array([image.shape[:2] for image in images], "<i4")
    assert kept.path.read_bytes() == b"".join(image.tobytes() for image in images) + shapes.tobytes()


def test_it_is_made_once(split, tmp_path):
    make(split, tmp_path / "cache")
    shutil.move(tmp_path / "images", tmp_path / "moved")
    (tmp_path / "images").mkdir()
    for name in split.files.names:  # sizes count, pixels are no longer read
        size = (tmp_path / "moved" / name).stat().st_size
        (tmp_path / "images" / name).write_bytes(bytes(size))
    make(split, tmp_path / "cache").image(3)
    assert len(files(tmp_path / "cache")) == 1


def test_what_makes_the_pixels_is_in_the_name(split, tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    make(split, folder)
    make(split, folder, ShorterSide(13, "bilinear"))
    make(split, folder, ShorterSide(12, "bicubic"))
    assert len(files(folder)) == 3
    squares = [make(split, folder, Square(size, "bilinear")).path for size in (12, 13)]
    squares += [make(split, folder, Square(12, "bicubic")).path]
    assert len(set(squares)) == 3
    assert len({path.stem.rpartition("-")[2] for path in folder.glob("*.bin")}) == 6  # digests, too
    for path in squares:
        path.unlink()
    assert {path.name.rpartition("-")[0] for path in squares} == {
        "bilinear-12x12", "bilinear-13x13", "bicubic-12x12"
    }  # fmt: skip
    assert len(files(folder)) == 3
    names, labels = split.files.names, split.labels
    make(FileSplit(LooseFiles(tmp_path / "images", names[::-1]), labels[::-1].copy()), folder)
    assert len(files(folder)) == 4
    path = tmp_path / "images" / names[2]
    path.write_bytes(path.read_bytes() + b"\0")
    make(split, folder)
    assert len(files(folder)) == 5
    monkeypatch.setattr(PIL, "__version__", "0.0.1")
    make(split, folder)
    assert len(files(folder)) == 6
    assert {name.rpartition("-")[0] for name in files(folder)} == {"bilinear-12", "bilinear-13", "bicubic-12"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_image_is_named_and_nothing_is_left(split, tmp_path, workers):
    (tmp_path / "images" / "04.jpg").write_bytes(b"no image")
    with pytest.raises(DmixError, match=r"the image 04\.jpg is damaged"):
        make(split, tmp_path / "cache", workers=workers)
    assert files(tmp_path / "cache", "*") == files(tmp_path / "cache", "*.lock")


@pytest.mark.parametrize("keep", [0, 10, 56, -1, -8, -300])
def test_a_file_that_was_cut_off_is_an_error(split, tmp_path, keep):
    kept = make(split, tmp_path / "cache")
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:keep])
    with pytest.raises(DmixError, match="was cut off") as caught:
        make(split, tmp_path / "cache")
    assert "remove it" in caught.value.way_out
    kept.path.unlink()
    make(split, tmp_path / "cache")
    assert kept.path.read_bytes() == content


def test_a_run_waits_while_another_makes_it_and_takes_the_result(split, tmp_path):
    made = make(split, tmp_path / "elsewhere")
    folder = tmp_path / "cache"
    folder.mkdir()
    found: list[CachedSplit] = []
    with held(folder / made.path.with_suffix(".lock").name, print):
        waiting = threading.Thread(target=lambda: found.append(make(split, folder)))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()
        assert files(folder) == []
        shutil.copy(made.path, folder)
        before = (folder / made.path.name).stat().st_mtime_ns
    waiting.join(10)
    assert (folder / made.path.name).stat().st_mtime_ns == before
    np.testing.assert_array_equal(found[0].image(6), FIRST(split.image(6)))


def test_a_folder_that_cannot_be_written_is_an_error(split, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DmixError, match=r"cannot keep resized images in .*cache") as caught:
        make(split, tmp_path / "cache")
    assert "writable" in caught.value.way_out
