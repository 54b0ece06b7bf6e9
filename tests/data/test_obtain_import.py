"""Importing what a person has got: archives under any name, folders of them, unpacked folders, weights."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

import pytest
from test_cars import merged, write_merged, write_split
from test_imagenet import TRAIN_TAR, VAL_TAR, write_train_folders, write_train_tar, write_val_tar
from test_imagenet import write_devkit as write_devkit

from dmix import cli
from dmix.data.obtain.import_item import import_item
from dmix.data.sets import imagenet_devkit, marker
from dmix.data.sets.cars import cars
from dmix.data.sets.imagenet import imagenet
from dmix.data_items import Item, read_sources
from dmix.errors import DmixError
from obtaining import Place, files_below, item, load_cub, md5, table, tarred, write_cub
from project import ROOT

load_cars = functools.partial(cars, edition="real", classes=3, train_size=3, test_size=2)
load_imagenet = functools.partial(imagenet, edition="real", classes=3, train_size=9, test_size=5)


class Run(Place):
    def take(self, wanted: Item, path: Path, load=load_cub) -> None:
        import_item(wanted, path, self.data, load, self.told.append)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path / "data")


@pytest.fixture
def birds(tmp_path) -> Path:
    return write_cub(tmp_path / "own" / "CUB_200_2011")


@pytest.fixture
def archive(birds, tmp_path) -> Path:
    path = tmp_path / "own" / "CUB_200_2011 (1).tgz"
    path.write_bytes(tarred(birds))
    return path


def cub_item(tmp_path: Path, content: bytes) -> Item:
    return item(tmp_path, {"checksum": md5(content), "bytes": len(content)})


def test_an_archive_under_any_name(run, tmp_path, archive, birds):
    run.take(cub_item(tmp_path, archive.read_bytes()), archive)
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)
    assert run.left() == ["CUB_200_2011"]
    assert run.told[-1].endswith("real/CUB_200_2011; to check all of it: dmix data verify cub")


def test_a_folder_with_the_archive(run, tmp_path, archive, birds):
    archive.rename(archive.with_name("CUB_200_2011.tgz"))
    run.take(cub_item(tmp_path, tarred(birds)), archive.parent)
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)
    assert not (run.data / "real/CUB_200_2011").is_symlink()


def test_an_unpacked_folder_becomes_a_link_and_the_command_says_so(run, tmp_path, birds, monkeypatch):
    monkeypatch.chdir(birds.parent)
    run.take(item(tmp_path, {"checksum": "0" * 32}), Path("CUB_200_2011"))
    target = run.data / "real/CUB_200_2011"
    assert target.readlink() == birds.resolve()
    assert f"(linked to {birds.resolve()}: leave that where it is)" in run.told[-1]
    load_cub(run.data)


def test_an_unpacked_folder_that_its_loader_refuses(run, tmp_path, birds):
    (birds / "images.txt").unlink()
    with pytest.raises(DmixError) as caught:
        run.take(item(tmp_path, {"checksum": "0" * 32}), birds)
    assert caught.value.message == f"{birds}/images.txt is missing"
    assert caught.value.way_out == "give a path to CUB_200_2011.tgz, or the unpacked folder (CUB_200_2011)"
    assert run.left() == []
    assert birds.exists()


def test_an_embedded_edition_is_no_real_one(run, tmp_path, birds):
    marker.write(birds, "a test", 1, 4, 2, 2)
    with pytest.raises(DmixError, match=rf"{birds} is the embedded edition"):
        run.take(item(tmp_path, {"checksum": "0" * 32}), birds)
    assert run.left() == []


def test_a_wrong_archive(run, tmp_path, archive):
    wanted = item(tmp_path, {"checksum": "0" * 32})
    expected = re.escape(str(archive)) + r" is not CUB_200_2011\.tgz: its md5 is [0-9a-f]{32}, not 0{32}"
    with pytest.raises(DmixError, match=expected):
        run.take(wanted, archive)
    with pytest.raises(DmixError, match=r"bytes, not 7\n"):
        run.take(item(tmp_path, {"checksum": "0" * 32, "bytes": 7}), archive)
    assert run.left() == []


def test_a_path_that_is_not_there(run, tmp_path):
    with pytest.raises(DmixError, match=r"there is no .*nowhere") as caught:
        run.take(item(tmp_path, {"checksum": "0" * 32}), tmp_path / "nowhere")
    assert "CUB_200_2011.tgz" in caught.value.way_out


@pytest.mark.parametrize("there", ["folder", "dangling link"])
def test_what_is_there_is_left_alone(run, tmp_path, archive, there):
    target = run.data / "real/CUB_200_2011"
    if there == "folder":
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True)
        target.symlink_to("/gone")
    message = "is there already" + ("" if there == "folder" else r" \(a link to /gone\)") + "\n  remove it"
    with pytest.raises(DmixError, match=message):
        run.take(cub_item(tmp_path, archive.read_bytes()), archive)


# Cars: two published forms of several files


def cars_item(tmp_path: Path, folder: Path, names: dict[str, tuple[str, str]]) -> Item:
    """Return the item whose files lie in `folder`; names maps a file to its form and place."""
    rows = [
        {"item": "cars", "path": "stanford_cars", "file": name, "form": form, "place": place,
         "checksum": md5((folder / name).read_bytes()) if (folder / name).exists() else "0" * 32}
        for name, (form, place) in names.items()
    ]  # fmt: skip
    return item(tmp_path, *rows)


FILES = {
    "car_ims.tgz": ("merged", "into"),
    "cars_annos.mat": ("merged", "copy"),
    "cars_train.tgz": ("split", "into"),
    "cars_test.tgz": ("split", "into"),
    "car_devkit.tgz": ("split", "into"),
    "cars_test_annos_withlabels.mat": ("split", "copy"),
}


def test_the_genuine_table_says_the_same_of_cars():
    genuine = read_sources(ROOT / "reference/datasets.csv")["cars"]
    assert {file.name: (file.form, file.place) for file in genuine.files} == FILES


@pytest.mark.parametrize("form", ["merged", "split"])
def test_both_forms_of_cars(run, tmp_path, form):
    own = tmp_path / "own"
    own.mkdir()
    whole = write_merged(tmp_path / "cars", merged()) if form == "merged" else write_split(tmp_path / "cars")
    packed = {"car_ims": "car_ims", "cars_train": "cars_train", "cars_test": "cars_test",
              "devkit": "car_devkit"}  # fmt: skip
    for path in whole.iterdir():
        if path.is_dir():
            (own / f"{packed[path.name]}.tgz").write_bytes(tarred(path))
        else:
            (own / path.name).write_bytes(path.read_bytes())
    run.take(cars_item(tmp_path, own, FILES), own, load_cars)
    assert files_below(run.data / "real/stanford_cars") == files_below(whole)
    assert not any(path.is_symlink() for path in (run.data / "real/stanford_cars").rglob("*"))


def test_one_file_of_several_is_not_enough(run, tmp_path):
    own = tmp_path / "car_ims.tgz"
    own.write_bytes(b"x")
    with pytest.raises(DmixError, match=r"car_ims\.tgz is not all of cars") as caught:
        run.take(cars_item(tmp_path, tmp_path, FILES), own, load_cars)
    assert (
        "a folder with car_ims.tgz + cars_annos.mat, or a folder with cars_train.tgz" in caught.value.way_out
    )


# ImageNet: archives that are read as they are


@pytest.fixture
def official(tmp_path, write_devkit) -> Path:
    own = tmp_path / "own"
    own.mkdir()
    for writer in (write_train_tar, write_val_tar, write_devkit):
        writer(own)
    return own


def imagenet_item(tmp_path: Path, own: Path) -> Item:
    rows = [
        {"item": "imagenet", "path": "imagenet", "file": name, "place": "link",
         "checksum": md5((own / name).read_bytes())}
        for name in (TRAIN_TAR, VAL_TAR, imagenet_devkit.ARCHIVE)
    ]  # fmt: skip
    return item(tmp_path, *rows)


def test_the_official_archives_of_imagenet_become_links(run, tmp_path, official):
    before = files_below(official)
    run.take(imagenet_item(tmp_path, official), official, load_imagenet)
    folder = run.data / "real/imagenet"
    names = (TRAIN_TAR, VAL_TAR, imagenet_devkit.ARCHIVE)
    assert [(folder / name).readlink() for name in names] == [official / name for name in names]
    assert files_below(official) == before  # the indices lie beside the links
    index = folder / f"{TRAIN_TAR}.index.npz"
    made = index.stat().st_mtime_ns
    load_imagenet(run.data)
    assert index.stat().st_mtime_ns == made


def test_a_wrong_archive_of_imagenet(run, tmp_path, official):
    wanted = imagenet_item(tmp_path, official)
    (official / VAL_TAR).write_bytes(b"x")
    with pytest.raises(DmixError, match=rf"{VAL_TAR} is not {VAL_TAR}: its md5 is"):
        run.take(wanted, official, load_imagenet)
    assert run.left() == []


def test_unpacked_training_images_beside_an_archive(run, tmp_path, official):
    """An own folder that its loader reads is linked as it is, whatever else lies in it."""
    wanted = imagenet_item(tmp_path, official)
    (official / TRAIN_TAR).unlink()
    write_train_folders(official)
    run.take(wanted, official, load_imagenet)
    assert (run.data / "real/imagenet").readlink() == official


# Weights


@pytest.fixture
def weights(tmp_path) -> tuple[Item, Path]:
    own = tmp_path / "downloaded.pth"
    own.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    row = {
        "item": "small_weights", "kind": "weights", "path": f"weights/small-{digest[:8]}.pth",
        "file": f"small-{digest[:8]}.pth", "place": "copy", "algorithm": "sha256", "checksum": digest[:8],
    }  # fmt: skip
    return item(tmp_path, row), own


@pytest.mark.parametrize("form", ["file", "folder"])
def test_weights_are_copied(run, weights, form):
    wanted, own = weights
    if form == "folder":
        own = own.rename(own.with_name(wanted.path.name)).parent
    run.take(wanted, own, None)
    assert files_below(run.data / "real") == {str(wanted.path): b"weights"}
    assert not (run.data / "real" / wanted.path).is_symlink()


def test_wrong_weights(run, weights):
    wanted, own = weights
    own.write_bytes(b"other")
    with pytest.raises(DmixError, match=r"is not small-.*\.pth: its sha256 is"):
        run.take(wanted, own, None)
    with pytest.raises(DmixError, match="is not all of small_weights"):
        run.take(wanted, own.parent / "data", None)
    assert run.left() == []


def test_the_command(tmp_path, monkeypatch, capsys, weights):
    wanted, own = weights
    monkeypatch.chdir(tmp_path)
    (file,) = wanted.files
    row = {"item": wanted.name, "kind": "weights", "path": str(wanted.path), "file": file.name,
           "place": "copy", "algorithm": "sha256", "checksum": file.checksum}  # fmt: skip
    table(tmp_path / "reference/datasets.csv", row)
    assert cli.main(["data", "verify", wanted.name]) == 2
    assert f"cannot read data/real/{wanted.path}: No such file" in capsys.readouterr().err
    assert cli.main(["data", "import", wanted.name, str(own)]) == 0
    assert f"{wanted.name}: data/real/{wanted.path}" in capsys.readouterr().out
    assert cli.main(["data", "verify", wanted.name]) == 0
    assert "is the published file" in capsys.readouterr().out
