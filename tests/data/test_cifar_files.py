"""CIFAR's files as Python 2 wrote them, built here byte by byte, and every way they can be wrong."""

import hashlib
import io
import json
import os
import pickle
import struct
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dmix.data.sets import cifar_format, legacy_pickle, marker
from dmix.data.sets.block_means import block_means
from dmix.data.sets.cifar import cifar
from dmix.data.sets.cifar_format import CIFAR10, CIFAR100
from dmix.errors import DmixError

PER_BATCH = 4
SETTINGS = {"classes": 10, "train_size": 20, "test_size": 4, "image_size": 32}


class Python2:
    """Spells out a protocol 2 stream with Python 2's opcodes, memo included, as cPickle did."""

    def __init__(self) -> None:
        self.memo = 0

    def put(self) -> bytes:
        self.memo += 1
        return b"q" + bytes([self.memo])

    def text(self, value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value + self.put()

    def number(self, value: int) -> bytes:
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)

    def sequence(self, items: list) -> bytes:
        spelt = [self.number(item) if isinstance(item, int) else self.text(item) for item in items]
        return b"]" + self.put() + b"(" + b"".join(spelt) + b"e"

    def table(self, pixels: np.ndarray) -> bytes:
        rows, width = pixels.shape
        made = b"cnumpy.core.multiarray\n_reconstruct\n" + self.put() + b"cnumpy\nndarray\n" + self.put()
        made += b"K\x00\x85" + self.put() + b"U\x01b" + self.put() + b"\x87" + self.put() + b"R" + self.put()
        shape = b"K" + bytes([rows]) + b"M" + struct.pack("<H", width) + b"\x86" + self.put()
        dtype = b"cnumpy\ndtype\n" + self.put() + b"U\x02u1" + self.put() + b"K\x00K\x01\x87R" + self.put()
        minus = b"J\xff\xff\xff\xff"
        dtype += b"(K\x03U\x01|" + self.put() + b"NNN" + minus + minus + b"K\x00tb"
        content = b"T" + struct.pack("<i", pixels.size) + pixels.tobytes() + self.put()
        return made + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"

    def dictionary(self, entries: dict) -> bytes:
        out = b"\x80\x02}" + self.put() + b"("
        for key, value in entries.items():
            out += self.text(key)
            if isinstance(value, np.ndarray):
                out += self.table(value)
            elif isinstance(value, list):
                out += self.sequence(value)
            else:
                out += self.text(value) if isinstance(value, bytes) else self.number(value)
        return out + b"u."


def python2(entries: dict) -> bytes:
    return Python2().dictionary(entries)


def python3(entries: dict) -> bytes:
    return pickle.dumps(entries, protocol=2)


def batch(number: int, label_key: bytes = b"labels", count: int = PER_BATCH) -> dict:
    pixels = np.random.default_rng(number).integers(0, 256, (count, 3072), np.uint8)
    labels = [(3 * number + row) % 10 for row in range(count)]
    names = [b"cat_s_%06d.png" % row for row in range(count)]
    return {b"batch_label": b"training batch", label_key: labels, b"data": pixels, b"filenames": names}


def contents10() -> dict[str, dict]:
    meta = {b"num_cases_per_batch": PER_BATCH, b"label_names": [b"class%d" % c for c in range(10)]}
    batches = {name: batch(number) for number, name in enumerate((*CIFAR10.train, *CIFAR10.test))}
    return {**batches, "batches.meta": {**meta, b"num_vis": 3072}}


def embedded(root: Path, files: dict[str, bytes], folder: str = CIFAR10.folder) -> Path:
    """Write an embedded edition with a right marker, whatever the files hold."""
    place = root / "embedded" / folder
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / name).write_bytes(content)
    marker.write(place, "a test", 1, 20, 4, 10)
    return place


def read10(root: Path, **changes):
    return cifar(root, folder=CIFAR10.folder, edition="embedded", **{**SETTINGS, **changes})


@pytest.mark.parametrize("spell", [python2, python3])
def test_cifar10_is_read_to_the_very_pixels_and_labels(tmp_path, spell):
    source = contents10()
    embedded(tmp_path, {name: spell(entries) for name, entries in source.items()})

    found = read10(tmp_path)

    train = [source[name] for name in CIFAR10.train]
    assert (found.name, found.edition, found.classes) == ("cifar10", "embedded", 10)
    assert found.splits["train"].labels.tolist() == [label for part in train for label in part[b"labels"]]
    assert found.splits["test"].labels.tolist() == source["test_batch"][b"labels"]
    images = found.splits["train"].images
    assert images.shape == (20, 3, 32, 32)
    # red, green and blue plane, each in rows
    assert images[5, 1, 2, 3] == train[1][b"data"][1, 1024 + 2 * 32 + 3]
    assert images.tobytes() == b"".join(part[b"data"].tobytes() for part in train)


def test_cifar100_is_read_by_its_fine_labels(tmp_path):
    names = {b"fine_label_names": [b"f%d" % c for c in range(10)], b"coarse_label_names": [b"c0", b"c1"]}
    source = {
        "train": {**batch(1, b"fine_labels", 20), b"coarse_labels": [0] * 20},
        "test": {**batch(2, b"fine_labels", 4), b"coarse_labels": [0] * 4},
        "meta": names,
    }
    files = {name: python2(entries) for name, entries in source.items()}
    embedded(tmp_path, files, CIFAR100.folder)

    found = cifar(tmp_path, folder=CIFAR100.folder, edition="embedded", **SETTINGS)

    assert found.splits["train"].labels.tolist() == source["train"][b"fine_labels"]
    assert found.splits["test"].images.tobytes() == source["test"][b"data"].tobytes()


def test_real_edition_is_read_when_the_md5s_are_right(tmp_path, monkeypatch):
    place = tmp_path / "real" / CIFAR10.folder
    place.mkdir(parents=True)
    md5 = {}
    for name, entries in contents10().items():
        content = python2(entries)
        (place / name).write_bytes(content)
        md5[name] = hashlib.md5(content).hexdigest()
    monkeypatch.setitem(cifar_format.LAYOUTS, CIFAR10.folder, replace(CIFAR10, md5=md5))

    found = cifar(tmp_path, folder=CIFAR10.folder, edition="real", **SETTINGS)

    assert found.edition == "real"
    assert len(found.splits["train"]) == 20


class Touch:
    """Pickles to a call that would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("layout", [CIFAR10, CIFAR100])
def test_real_edition_refuses_any_other_file_before_unpickling(tmp_path, layout):
    place = tmp_path / "real" / layout.folder
    place.mkdir(parents=True)
    trap = tmp_path / "executed"
    for name in layout.files:
        (place / name).write_bytes(pickle.dumps(Touch(trap)))

    with pytest.raises(DmixError, match=f"{layout.files[0]}.*md5.*{layout.md5[layout.files[0]]}"):
        cifar(tmp_path, folder=layout.folder, edition="real", **SETTINGS)

    assert not trap.exists()
    assert all(len(digest) == 32 for digest in layout.md5.values())
    assert set(layout.md5) == set(layout.files)


def test_a_foreign_global_is_refused_even_with_a_right_checksum(tmp_path):
    trap = tmp_path / "executed"
    files = {name: python2(entries) for name, entries in contents10().items()}
    files["data_batch_3"] = pickle.dumps({b"data": Touch(trap)}, protocol=2)
    embedded(tmp_path, files)

    with pytest.raises(DmixError, match=r"data_batch_3 refused: it asks for posix\.mkdir"):
        read10(tmp_path)

    assert not trap.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\x02cbuiltins\neval\nU\x011\x85R.",
        b"\x80\x02c__builtin__\neval\nU\x011\x85R.",
        b"\x80\x02cos\nsystem\nU\x04true\x85R.",
        b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
        b"\x80\x02cnumpy\nndarray.dump\n.",
        b"\x80\x02cnumpy\nndarray\nK\x01\x85R.",  # the array type itself cannot be called
        b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87R.",  # objects could hold anything
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x05\x00\x00\x00rot13\x86R.",
        b"\x80\x02]q\x01.",
        b"\x80\x02}q\x01",
        b"",
        b"no pickle at all",
    ],
)
def test_streams_that_no_cifar_file_holds_are_one_clear_error(stream):
    with pytest.raises(DmixError, match="some_file") as caught:
        legacy_pickle.loads(stream, Path("some_file"), "get it again")
    assert caught.value.way_out


@pytest.mark.parametrize("cut", [1, 100, 3072])
def test_a_truncated_stream_is_one_clear_error(tmp_path, cut):
    files = {name: python2(entries) for name, entries in contents10().items()}
    files["test_batch"] = files["test_batch"][:-cut]
    embedded(tmp_path, files)
    with pytest.raises(DmixError, match="test_batch cannot be unpickled"):
        read10(tmp_path)


def test_a_file_cut_after_the_marker_was_written_fails_its_checksum(tmp_path):
    place = embedded(tmp_path, {name: python2(entries) for name, entries in contents10().items()})
    path = place / "data_batch_2"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DmixError, match=r"data_batch_2.*sha256") as caught:
        read10(tmp_path)
    assert caught.value.way_out == "run: dmix data embed"


def broken(name: str, **changes) -> dict[str, bytes]:
    source = contents10()
    source[name] = {**source[name], **{key.encode(): value for key, value in changes.items()}}
    return {file: python2(entries) for file, entries in source.items()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (broken("data_batch_4", labels=[0, 1, 2, 10]), "data_batch_4: label 10 is not among 0..9"),
        (broken("data_batch_4", labels=[0, 1, 2, -1]), "data_batch_4: label -1 is not among 0..9"),
        (broken("data_batch_4", labels=[0, 1, 2]), "data_batch_4: 3 labels for 4 images"),
        (broken("data_batch_4", labels=[b"a"] * 4), "data_batch_4: 'labels' is not a list of whole"),
        (broken("test_batch", labels=b"0123"), "test_batch: 'labels' is not a list"),
        (broken("test_batch", data=[1, 2]), "test_batch: 'data' is not a table"),
        (broken("test_batch", data=np.zeros((4, 100), np.uint8)), "test_batch: 'data' is not a table"),
        (broken("batches.meta", label_names=b"cat"), "batches.meta: the class names"),
    ],
)
def test_content_that_is_not_cifar_is_named(tmp_path, files, message):
    embedded(tmp_path, files)
    with pytest.raises(DmixError, match=message):
        read10(tmp_path)


@pytest.mark.parametrize(("name", "key"), [("test_batch", b"data"), ("batches.meta", b"label_names")])
def test_a_missing_entry_is_named(tmp_path, name, key):
    source = contents10()
    del source[name][key]
    embedded(tmp_path, {file: python2(entries) for file, entries in source.items()})
    with pytest.raises(DmixError, match=f"{name} has no entry '{key.decode()}'"):
        read10(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("train_size", 50000, "holds 20 train images, the settings say 50000"),
        ("test_size", 5, "holds 4 test images, the settings say 5"),
        ("classes", 11, "holds 10 classes, the settings say 11"),
        ("image_size", 12, "image_size of cifar10 is 12"),
        ("image_size", 64, "image_size of cifar10 is 64"),
    ],
)
def test_settings_that_the_files_do_not_meet(tmp_path, setting, value, message):
    embedded(tmp_path, {name: python2(entries) for name, entries in contents10().items()})
    with pytest.raises(DmixError, match=message):
        read10(tmp_path, **{setting: value})


def test_a_missing_edition_says_the_way_out(tmp_path):
    with pytest.raises(DmixError, match=r"cifar10 \(embedded edition\) is missing: .*embedded") as caught:
        read10(tmp_path)
    assert caught.value.way_out == "run: dmix data embed"
    with pytest.raises(DmixError, match=r"cifar10 \(real edition\) is missing") as caught:
        cifar(tmp_path, folder=CIFAR10.folder, edition="real", **SETTINGS)
    assert caught.value.way_out == "run: dmix data fetch cifar10"


def test_missing_files_and_markers_are_named(tmp_path):
    place = embedded(tmp_path, {name: python2(entries) for name, entries in contents10().items()})
    (place / "data_batch_5").unlink()
    with pytest.raises(DmixError, match="data_batch_5 is missing"):
        read10(tmp_path)
    (place / marker.NAME).write_text("{")
    with pytest.raises(DmixError, match=r"DMIX_EMBEDDED\.json is damaged"):
        read10(tmp_path)
    (place / marker.NAME).unlink()
    with pytest.raises(DmixError, match=r"DMIX_EMBEDDED\.json is missing"):
        read10(tmp_path)


def test_a_file_that_the_marker_does_not_list_is_not_read(tmp_path):
    place = embedded(tmp_path, {name: python2(entries) for name, entries in contents10().items()})
    found = json.loads((place / marker.NAME).read_text())
    del found["files"]["data_batch_1"]
    (place / marker.NAME).write_text(json.dumps(found))
    with pytest.raises(DmixError, match="data_batch_1: no checksum is known"):
        read10(tmp_path)


def test_an_embedded_folder_never_passes_for_the_real_one(tmp_path):
    embedded(tmp_path, {name: python2(entries) for name, entries in contents10().items()})
    (tmp_path / "embedded").rename(tmp_path / "real")
    with pytest.raises(DmixError, match="is the embedded edition, in the place of the real one"):
        cifar(tmp_path, folder=CIFAR10.folder, edition="real", **SETTINGS)


def test_our_writer_is_read_as_the_common_reader_reads_the_genuine_files():
    """The usual readers unpickle with encoding="latin1" and look entries up by str."""
    pixels = np.arange(2 * 3072, dtype=np.uint32).astype(np.uint8).reshape(2, 3072)
    entries = {
        b"labels": [7, 300, -1],
        b"data": pixels,
        b"batch_label": b"x" * 300,
        b"filenames": [b"a", b"b"],
    }
    written = legacy_pickle.dumps(entries)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of what Python 2 wrote, in the genuine files too
        common = pickle.load(io.BytesIO(written), encoding="latin1")

    assert common["labels"] == [7, 300, -1]
    assert common["batch_label"] == "x" * 300
    assert common["filenames"] == ["a", "b"]
    np.testing.assert_array_equal(common["data"], pixels)
    ours = legacy_pickle.loads(written, Path("x"), "")
    assert {**ours, b"data": None} == {**entries, b"data": None}
    np.testing.assert_array_equal(ours[b"data"], pixels)
    with pytest.raises(TypeError, match="float64"):
        legacy_pickle.dumps({b"data": np.zeros(3)})


@pytest.mark.parametrize("size", [32, 16, 8])
def test_block_means_round_half_up(size):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    block = 32 // size
    for (n, c, y, x), value in np.ndenumerate(block_means(images, size)[:, :, :3, :3]):
        total = int(images[n, c, y * block : (y + 1) * block, x * block : (x + 1) * block].sum())
        assert value == int(np.floor(total / block**2 + 0.5))
    assert block_means(np.full((1, 3, 32, 32), 255, np.uint8), size).min() == 255
    halves = np.zeros((1, 3, 32, 32), np.uint8)
    halves[..., ::2] = 1
    assert size == 32 or block_means(halves, size).min() == 1
