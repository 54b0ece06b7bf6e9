import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dmix.data.embedded import editions as embedded
from dmix.data.embedded import masks
from dmix.data.sets import marker
from dmix.data.sets.cifar import cifar
from dmix.errors import DmixError


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("data")
    embedded.embed(place)
    return place


def contents(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()
    }


def test_editions_read_back_with_the_real_reader(root):
    ten = cifar(root, folder="cifar-10-batches-py", edition="embedded", classes=10, train_size=1000,
                test_size=250, image_size=32)  # fmt: skip
    hundred = cifar(root, folder="cifar-100-python", edition="embedded", classes=100, train_size=1400,
                    test_size=400, image_size=16)  # fmt: skip
    assert np.bincount(ten.splits["train"].labels).tolist() == [100] * 10
    assert np.bincount(hundred.splits["train"].labels).tolist() == [14] * 100
    assert np.bincount(hundred.splits["test"].labels).tolist() == [4] * 100
    assert hundred.splits["test"].images.shape == (400, 3, 16, 16)
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 15e6


def test_digits_are_each_used_once_and_keep_their_labels(root):
    ten = cifar(root, folder="cifar-10-batches-py", edition="embedded", classes=10, train_size=1000,
                test_size=250, image_size=32)  # fmt: skip
    found = [
        (int(label), image[0].tobytes())
        for split in ten.splits.values()
        for image, label in zip(split.images, split.labels, strict=True)
    ]
    digits = load_digits()
    large = embedded.enlarge(digits.images.astype(np.int64), 4, 16)[:, 0]
    genuine = Counter(
        (int(label), image.tobytes()) for label, image in zip(digits.target, large, strict=True)
    )
    assert len(found) == 1250
    assert Counter(found) <= genuine


def test_enlarging_is_bilinear_with_aligned_centres():
    small = np.random.default_rng(0).integers(0, 17, (2, 8, 8))
    large = embedded.enlarge(small, 4, 16)
    at = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    for image, source in zip(large, small, strict=True):
        columns = np.array([np.interp(at, np.arange(8), row) for row in source])
        exact = np.array([np.interp(at, np.arange(8), column) for column in columns.T]).T * 255 / 16
        np.testing.assert_array_equal(image, np.broadcast_to(np.floor(exact + 0.5), (3, 32, 32)))
    assert (embedded.enlarge(np.full((1, 8, 8), 16), 4, 16) == 255).all()


def test_masks_lie_beside_the_images(root):
    folder = root / "embedded" / "cifar-100-python"
    for split, count in (("train", 1400), ("test", 400)):
        found = masks.read(folder, split)
        assert found.shape == (count, 32, 32)
        assert 0.14 < found.mean() < 0.20
    with pytest.raises(DmixError, match="has no masks"):
        masks.read(root / "embedded" / "cifar-10-batches-py", "train")


def test_packed_masks_survive_and_damage_is_seen(tmp_path):
    drawn = np.random.default_rng(0).random((5, 6, 16)) < 0.5
    masks.write(tmp_path / "masks_test.npy", drawn)
    marker.write(tmp_path, "a test", 1, 1, 5, 2)
    np.testing.assert_array_equal(masks.read(tmp_path, "test"), drawn)
    content = bytearray((tmp_path / "masks_test.npy").read_bytes())
    content[-1] ^= 1
    (tmp_path / "masks_test.npy").write_bytes(content)
    with pytest.raises(DmixError, match=r"masks_test\.npy is missing or damaged"):
        masks.read(tmp_path, "test")
    with pytest.raises(ValueError, match="multiple of 8"):
        masks.write(tmp_path / "x.npy", drawn[..., :7])


def test_a_second_place_gets_the_same_bytes(root, tmp_path):
    embedded.embed(tmp_path)
    assert contents(tmp_path / "embedded") == contents(root / "embedded")


def test_the_bytes_change_only_together_with_the_version(root):
    """Where this fails on purpose: raise embedded.VERSION, then note the new digests here."""
    digests = {
        folder: hashlib.sha256((root / "embedded" / folder / marker.NAME).read_bytes()).hexdigest()[:16]
        for folder in ("cifar-10-batches-py", "cifar-100-python")
    }
    assert (embedded.VERSION, digests) == (
        2,
        {"cifar-10-batches-py": "8f8301f49bf5983e", "cifar-100-python": "1029fa01522d1015"},
    )


def test_a_whole_edition_is_left_alone_and_a_broken_one_rewritten(tmp_path):
    (folder,) = embedded.embed(tmp_path, ["cifar10"])
    before = contents(folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert embedded.embed(tmp_path, ["cifar10"]) == [folder]
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times

    (folder / "data_batch_3").write_bytes(b"short")
    embedded.embed(tmp_path, ["cifar10"])
    assert contents(folder) == before

    (folder / "test_batch").unlink()
    embedded.embed(tmp_path, ["cifar10"])
    assert contents(folder) == before

    stale = json.loads((folder / marker.NAME).read_text())
    (folder / marker.NAME).write_text(json.dumps({**stale, "version": embedded.VERSION + 1}))
    embedded.embed(tmp_path, ["cifar10"])
    assert contents(folder) == before


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()} - {".lock"}


@pytest.mark.parametrize("blow", [KeyboardInterrupt, ValueError])
def test_a_writer_that_dies_leaves_nothing(tmp_path, monkeypatch, blow):
    def dies(folder: Path) -> embedded.Written:
        (folder / "train").write_bytes(b"half")
        raise blow

    monkeypatch.setitem(embedded.EDITIONS, "odd", embedded.Edition("odd-folder", dies))
    with pytest.raises(blow):
        embedded.embed(tmp_path, ["odd"])
    assert names(tmp_path / "embedded") == set()


def test_leftovers_of_a_killed_process_are_swept(tmp_path, monkeypatch):
    def works(folder: Path) -> embedded.Written:
        assert not list(folder.iterdir())
        (folder / "train").write_bytes(b"whole")
        return embedded.Written("a test", 1, 1, 2)

    monkeypatch.setitem(embedded.EDITIONS, "odd", embedded.Edition("odd-folder", works))
    (tmp_path / "embedded" / ".odd-folder.part").mkdir(parents=True)
    (tmp_path / "embedded" / ".odd-folder.part" / "train").write_bytes(b"half")
    embedded.embed(tmp_path, ["odd"])
    assert names(tmp_path / "embedded") == {"odd-folder"}
    assert marker.read(tmp_path / "embedded" / "odd-folder").files.keys() == {"train"}


def test_a_folder_that_is_not_ours_is_never_deleted(tmp_path):
    theirs = tmp_path / "embedded" / "cifar-10-batches-py"
    theirs.mkdir(parents=True)
    (theirs / "precious").write_text("x")
    with pytest.raises(DmixError, match="was not written by dmix"):
        embedded.embed(tmp_path, ["cifar10"])
    assert (theirs / "precious").read_text() == "x"


def test_errors_for_people(tmp_path):
    with pytest.raises(DmixError, match="no embedded edition of 'mnist'") as caught:
        embedded.embed(tmp_path, ["mnist"])
    assert "cifar10" in caught.value.way_out
    (tmp_path / "file").write_text("")
    with pytest.raises(DmixError, match="cannot write") as caught:
        embedded.embed(tmp_path / "file", ["cifar10"])
    assert caught.value.exit_code == 1
    assert os.listdir(tmp_path) == ["file"]


def test_data_are_written_without_torch():
    code = "import sys, dmix.data.embedded.editions, dmix.data.sets.cifar; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
