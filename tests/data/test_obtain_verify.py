"""Verifying: damaged images of every kind of data set are all found, counted and named."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path

import pytest
from test_imagenet import encoded, train_images, write_train_tar, write_val_tar
from test_imagenet import write_devkit as write_devkit

from dmix import cli
from dmix.data.obtain.verify import LISTED, TASK, verify
from dmix.data.sets.imagenet import imagenet
from dmix.data.sets.tiny_imagenet import tiny_imagenet
from dmix.errors import DmixError
from obtaining import files_below, load_cub, write_cub
from project import ROOT, copy_params


@pytest.fixture
def birds(tmp_path) -> Path:
    return write_cub(tmp_path / "real" / "CUB_200_2011")


def check(folder: Path, load, workers: int = 2) -> str:
    return verify("cub", folder, functools.partial(load, folder.parents[1]), workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_whole_data_set(birds, workers):
    digest = load_cub(birds.parents[1]).fingerprint[:16]
    line = f"cub: 4 train and 2 test images of 2 classes, all whole; fingerprint {digest}"
    assert check(birds, load_cub, workers) == line


DAMAGES = {
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "image file is truncated"),
    "no image": (lambda path: path.write_text("<html>404</html>"), "cannot identify image file"),
    "empty": (lambda path: path.write_bytes(b""), "cannot identify image file"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_images_are_all_named_and_counted(birds, damage, workers):
    do, why = DAMAGES[damage]
    victims = sorted((birds / "images").rglob("*.jpg"))[1:6:4]
    for victim in victims:
        do(victim)
    with pytest.raises(DmixError) as caught:
        check(birds, load_cub, workers)
    first, *lines = caught.value.message.splitlines()
    assert first == f"cub: 2 of 6 images in {birds} are damaged:"
    named = [line.strip().partition(": ") for line in lines]
    assert [name for name, _, _ in named] == [str(victim.relative_to(birds)) for victim in victims]
    assert all(text.startswith(why) for _, _, text in named)
    assert caught.value.exit_code == 1


def tiny(root: Path, embedded_data: Path) -> Path:
    """Return a copy of the embedded Tiny-ImageNet that passes for a real one."""
    folder = root / "real" / "tiny-imagenet-200"
    shutil.copytree(embedded_data / "embedded" / folder.name, folder)
    (folder / "DMIX_EMBEDDED.json").unlink()
    return folder


load_tiny = functools.partial(
    tiny_imagenet, edition="real", classes=20, train_size=500, test_size=200, image_size=64
)


def test_a_loader_that_ends_at_the_first_damage_hides_no_other(tmp_path, embedded_data):
    folder = tiny(tmp_path, embedded_data)
    assert "500 train and 200 test images of 20 classes" in check(folder, load_tiny)
    victims = [*sorted((folder / "train").rglob("*.JPEG"))[::20], folder / "val/images/val_7.JPEG"]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:50])
    with pytest.raises(DmixError) as caught:
        check(folder, load_tiny)
    first, *lines = caught.value.message.splitlines()
    assert first == f"cub: {len(victims)} of 700 images in {folder} are damaged:"
    assert len(victims) == 26
    assert [line.strip().partition(":")[0] for line in lines[:-1]] == [
        str(victim.relative_to(folder)) for victim in victims[:LISTED]
    ]
    assert lines[-1].strip() == "and 6 more"
    assert len(victims) > LISTED < TASK < 700  # the list is capped, and images lie in several tasks


def test_members_of_archives_are_decoded_where_they_lie(tmp_path, write_devkit):
    folder = tmp_path / "real" / "imagenet"
    folder.mkdir(parents=True)
    for writer in (write_train_tar, write_val_tar, write_devkit):
        writer(folder)
    load = functools.partial(imagenet, edition="real", classes=3, train_size=9, test_size=5)
    assert "9 train and 5 test images of 3 classes" in check(folder, load)
    victims = [("n01440764", "n01440764_7.JPEG"), ("n02119789", "n02119789_18.JPEG")]
    archive = folder / "ILSVRC2012_img_train.tar"
    content = archive.read_bytes()
    for wnid, name in victims:
        whole = encoded(train_images()[wnid][name])[0]
        assert content.count(whole) == 1
        content = content.replace(whole, whole[:-40] + bytes(40))
    archive.write_bytes(content)
    with pytest.raises(DmixError) as caught:
        check(folder, load)
    lines = caught.value.message.splitlines()
    assert lines[0] == f"cub: 2 of 14 images in {folder} are damaged:"
    assert [line.strip().partition(":")[0] for line in lines[1:]] == [
        f"train/{wnid}/{name}" for wnid, name in victims
    ]


def test_sizes_are_those_of_the_settings(birds):
    with pytest.raises(DmixError, match="holds 4 train images, the settings say 5994"):
        check(birds, functools.partial(load_cub, train_size=5994))


# The command, on embedded editions


@pytest.fixture
def here(tmp_path, embedded_data, monkeypatch) -> Path:
    """A folder with the repository's table and settings, and own copies of two embedded editions."""
    copy_params(tmp_path)
    (tmp_path / "reference").mkdir()
    shutil.copy(ROOT / "reference/datasets.csv", tmp_path / "reference")
    for name in ("CUB_200_2011", "cifar-10-batches-py"):
        shutil.copytree(embedded_data / "embedded" / name, tmp_path / "data/embedded" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_verifies_embedded_editions(here, capsys):
    assert cli.main(["data", "verify", "--edition", "embedded", "cub", "cifar10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"cub: 300 train and 200 test images of 20 classes, all whole; .*", lines[0])
    assert re.fullmatch(r"cifar10: 1,000 train and 250 test images of 10 classes, all whole; .*", lines[1])


def test_the_command_names_what_is_missing_or_damaged_and_goes_on(here, capsys):
    shutil.copytree(here / "data/embedded/CUB_200_2011", here / "data/real/CUB_200_2011")
    (here / "data/real/CUB_200_2011/DMIX_EMBEDDED.json").unlink()
    before = files_below(here / "data")
    assert cli.main(["data", "verify", "cub", "cars"]) == 2
    errors = capsys.readouterr().err
    assert "data/real/CUB_200_2011 holds 20 classes, the settings say 200" in errors
    assert "data set cars (real edition) is missing: data/real/stanford_cars" in errors
    assert "run: dmix data import cars PATH" in errors
    assert files_below(here / "data") == before


def test_an_embedded_edition_that_is_missing_or_damaged(here, capsys):
    (here / "data/embedded/CUB_200_2011/images.txt").write_text("")
    assert cli.main(["data", "verify", "--edition", "embedded", "cub", "cars"]) == 2
    errors = capsys.readouterr().err
    assert "images.txt is missing or damaged\n  run: dmix data embed" in errors
    assert "DMIX_EMBEDDED.json is missing" in errors
