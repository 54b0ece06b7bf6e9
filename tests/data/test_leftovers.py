"""What systems leave in folders and archives is passed over by every reader of them, and counted."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest
from test_imagenet import (
    TRAIN_TAR,
    VAL_IMAGES,
    VAL_TAR,
    encoded,
    packed,
    train_images,
    write_train_folders,
    write_train_tar,
    write_val_flat,
    write_val_folders,
    write_val_tar,
)
from test_imagenet import write_devkit as write_devkit

from dmix.data.obtain.import_item import import_item
from dmix.data.obtain.verify import verify
from dmix.data.sets.class_folders import class_folders
from dmix.data.sets.imagenet import imagenet
from dmix.data.sets.tiny_imagenet import tiny_imagenet
from obtaining import Place, item

load_imagenet = functools.partial(imagenet, edition="real", classes=3, train_size=9, test_size=5)
load_tiny = functools.partial(
    tiny_imagenet, edition="real", classes=20, train_size=500, test_size=200, image_size=64
)
load_folders = functools.partial(
    class_folders, folder="imagenet", edition="real", classes=3, train_size=9, test_size=5
)
FORMS = {
    "class folders": (load_imagenet, (write_train_folders, write_val_folders)),
    "flat val": (load_imagenet, (write_train_folders, write_val_flat)),
    "archives": (load_imagenet, (write_train_tar, write_val_tar)),
    "any class folders": (load_folders, (write_train_folders, write_val_folders)),
    "tiny": (load_tiny, ()),
}


@pytest.fixture(params=FORMS)
def clean(request, tmp_path, write_devkit, embedded_data):
    """The loader of a data set, and its folder below `own/real`, without leftovers."""
    load, writers = FORMS[request.param]
    place = tmp_path / "own/real" / ("imagenet" if writers else "tiny-imagenet-200")
    if not writers:
        shutil.copytree(embedded_data / "embedded/tiny-imagenet-200", place)
        (place / "DMIX_EMBEDDED.json").unlink()
    else:
        place.mkdir(parents=True)
        for writer in writers:
            writer(place)
        write_devkit(place)
    return load, place


def litter(place: Path) -> int:
    """Leave in every folder what macOS, Jupyter and Windows leave; return how many."""
    images = list(place.rglob("*.JPEG"))
    folders = [path for path in (place, *place.rglob("*")) if path.is_dir()]
    for image in images:
        image.with_name(f"._{image.name}").write_bytes(b"Mac OS X")
    for folder in folders:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"x")
        for name in (".ipynb_checkpoints", "__MACOSX"):
            (folder / name).mkdir()
            (folder / name / "copy.JPEG").write_bytes(b"x")
    return len(images) + 5 * len(folders)


def test_leftovers_are_passed_over_and_counted_in_one_line(clean, tmp_path):
    load, place = clean
    before = load(place.parents[1]).fingerprint
    number = litter(place)
    assert load(place.parents[1]).fingerprint == before
    found = verify("set", place, functools.partial(load, place.parents[1]), 0).splitlines()
    assert len(found) == 2
    assert found[1].startswith(f"set: passed over, as no part of the data set: {number:,}, such as ")
    run = Place(tmp_path / "data")
    wanted = item(tmp_path, {"item": "set", "path": place.name, "checksum": "0" * 32})
    import_item(wanted, place, run.data, load, run.told.append)
    assert [line for line in run.told if "passed over" in line] == [found[1]]


def test_nothing_is_said_where_nothing_is_passed_over(clean):
    load, place = clean
    assert len(verify("set", place, functools.partial(load, place.parents[1]), 0).splitlines()) == 1


def test_leftovers_in_archives_are_passed_over_too(tmp_path, write_devkit):
    """As a Mac adds them to archives that it packs, of files and of inner archives."""
    place = tmp_path / "real/imagenet"
    place.mkdir(parents=True)
    for writer in (write_train_tar, write_val_tar, write_devkit):
        writer(place)
    before = load_imagenet(tmp_path).fingerprint
    mac = b"Mac OS X"
    inner = {
        wnid: packed(
            {f"._{name}": mac for name in images} | {name: encoded(seed)[0] for name, seed in images.items()}
        )
        for wnid, images in train_images().items()
    }
    outer = {"._train": mac} | {f"._{wnid}.tar": mac for wnid in inner}
    (place / TRAIN_TAR).write_bytes(packed(outer | {f"{wnid}.tar": tar for wnid, tar in inner.items()}))
    val = {f"._{name}": mac for name in VAL_IMAGES}
    (place / VAL_TAR).write_bytes(packed(val | {name: encoded(seed)[0] for name, seed in VAL_IMAGES.items()}))
    assert load_imagenet(tmp_path).fingerprint == before
