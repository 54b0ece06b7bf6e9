"""Fetching whole items from a server on this machine: sources in turn, checks, and nothing by halves."""

from __future__ import annotations

import functools
import hashlib
import io
import re
import tarfile
import threading
import urllib.error
from pathlib import Path

import pytest
import torch
import yaml

from dmix import cli
from dmix.data.obtain.download import download
from dmix.data.obtain.fetch import fetch
from dmix.data_items import Item, read_sources
from dmix.errors import DmixError
from dmix.holder import me
from dmix.lock import held
from dmix.vision import torchvision
from obtaining import Place, files_below, item, load_cub, md5, no_wait, served, table, tarred, write_cub
from project import ROOT, real_params


@pytest.fixture(scope="module")
def birds(tmp_path_factory) -> Path:
    return write_cub(tmp_path_factory.mktemp("birds") / "CUB_200_2011")


@pytest.fixture
def server(monkeypatch, birds):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("dmix.data.obtain.fetch.download", functools.partial(download, pause=no_wait))
    with served(a__tgz=tarred(birds)) as state:
        yield state


class Run(Place):
    def fetch(self, wanted: Item, load=load_cub) -> None:
        fetch(wanted, self.data, load, self.told.append)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path / "data")


def source(server, name: str = "a.tgz", **more: object) -> dict[str, object]:
    content = server.files.get("a.tgz", b"")
    return {"url": server.url(name), "bytes": len(content), "checksum": md5(content), **more}


def test_an_archive_becomes_the_folder(server, run, tmp_path, birds):
    cub = item(tmp_path, source(server))
    run.fetch(cub)
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)
    assert run.left() == ["CUB_200_2011"]
    assert files_below(run.data / "downloads") == {
        "CUB_200_2011.tgz": server.files["a.tgz"],
    }
    assert run.told == [
        f"cub: unpacking {run.data}/downloads/CUB_200_2011.tgz",
        "cub: reading it by its loader",
        f"cub: {run.data}/real/CUB_200_2011",
    ]
    run.fetch(cub)
    assert run.told[-1] == f"cub: {run.data}/real/CUB_200_2011 is there; to check it: dmix data verify cub"
    assert len(server.asked) == 1


def test_what_lies_beside_the_folder_in_the_archive_is_left_out(server, run, tmp_path, birds):
    (tmp_path / "all/CUB_200_2011").parent.mkdir()
    (tmp_path / "all/CUB_200_2011").symlink_to(birds)
    (tmp_path / "all/attributes.txt").write_text("1 has_bill_shape\n")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", dereference=True) as archive:
        archive.add(tmp_path / "all", arcname=".")
    server.files["a.tgz"] = stream.getvalue()
    run.fetch(item(tmp_path, source(server)))
    assert run.left() == ["CUB_200_2011"]
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)


def test_an_interrupted_fetch_goes_on_where_it_was(server, run, tmp_path, birds):
    cub = item(tmp_path, source(server))
    server.cuts = [1000] + [0] * 6
    with pytest.raises(
        DmixError, match=r"no source gave CUB_200_2011\.tgz: .*ended after 1,000 of"
    ) as caught:
        run.fetch(cub)
    assert "it continues" in caught.value.way_out
    assert "dmix data import cub PATH" in caught.value.way_out
    assert run.left() == []
    server.asked.clear()
    run.fetch(cub)
    assert server.asked == [("a.tgz", "bytes=1000-")]
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)


def test_an_archive_that_is_there_is_not_downloaded_again(server, run, tmp_path):
    (run.data / "downloads").mkdir(parents=True)
    (run.data / "downloads/CUB_200_2011.tgz").write_bytes(server.files["a.tgz"])
    run.fetch(item(tmp_path, source(server)))
    assert not server.asked


def test_an_archive_that_is_there_and_wrong_is_downloaded_again(server, run, tmp_path):
    (run.data / "downloads").mkdir(parents=True)
    (run.data / "downloads/CUB_200_2011.tgz").write_bytes(b"x" * len(server.files["a.tgz"]))
    run.fetch(item(tmp_path, source(server)))
    assert len(server.asked) == 1
    assert "downloads/CUB_200_2011.tgz is not CUB_200_2011.tgz, or damaged" in run.told[0]


@pytest.mark.parametrize(
    ("first", "why"),
    [("gone.tgz", "HTTP 404 Not Found"), ("other.tgz", r"is not CUB_200_2011\.tgz: its md5 is"),
     ("short.tgz", r"it offers 7 bytes, not")],
)  # fmt: skip
def test_a_source_that_fails_is_named_and_the_next_is_used(server, run, tmp_path, birds, first, why):
    content = server.files["a.tgz"]
    server.files |= {"other.tgz": content[::-1], "short.tgz": content[:7]}
    run.fetch(item(tmp_path, source(server, first), source(server)))
    assert [name for name, _ in server.asked] == [first, "a.tgz"]
    assert re.search(rf"no success with {server.address}/{first}: .*{why}", run.told[0])
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)
    assert not list((run.data / "downloads").glob("*.part*"))


def test_a_wrong_checksum_is_never_unpacked(server, run, tmp_path):
    wanted = item(tmp_path, source(server, checksum="0" * 32))
    with pytest.raises(DmixError, match=f"its md5 is {md5(server.files['a.tgz'])}, not 0{{32}}"):
        run.fetch(wanted)
    assert run.left() == []
    assert not any("unpacking" in line for line in run.told)
    assert list(files_below(run.data / "downloads")) == []


@pytest.mark.parametrize("checksum", ["known", "unknown"])
def test_a_truncated_archive_leaves_nothing_half_extracted(server, run, tmp_path, checksum):
    content = server.files["a.tgz"][:-3000]
    server.files["a.tgz"] = content
    known = {} if checksum == "known" else {"checksum": "", "algorithm": ""}
    what = {"known": "is no archive that dmix can unpack", "unknown": "is cut short or damaged"}[checksum]
    with pytest.raises(DmixError, match=rf"CUB_200_2011\.tgz {what}"):
        run.fetch(item(tmp_path, source(server, **known)))
    assert run.left() == []


def test_an_archive_of_something_else(server, run, tmp_path, birds):
    server.files["a.tgz"] = tarred(birds, inside="cars")
    with pytest.raises(DmixError, match="holds no folder CUB_200_2011"):
        run.fetch(item(tmp_path, source(server)))
    assert run.left() == []


def test_what_the_loader_refuses_is_not_put_in_place(server, run, tmp_path, birds):
    def load(root):
        return load_cub(root, train_size=5994)

    with pytest.raises(DmixError) as caught:
        run.fetch(item(tmp_path, source(server)), load)
    archive = run.data / "downloads/CUB_200_2011.tgz"
    assert caught.value.message == f"{archive} holds 4 train images, the settings say 5994"
    assert caught.value.way_out == "the checksum is right, so look at datasets.cub in params.yaml"
    assert run.left() == []


def test_a_leftover_of_an_earlier_attempt_is_cleared(server, run, tmp_path, birds):
    (run.data / "real/.cub.part/real/CUB_200_2011/old").mkdir(parents=True)
    run.fetch(item(tmp_path, source(server)))
    assert run.left() == ["CUB_200_2011"]
    assert files_below(run.data / "real/CUB_200_2011") == files_below(birds)


def test_a_link_to_what_is_gone_is_left_alone(server, run, tmp_path):
    (run.data / "real").mkdir(parents=True)
    (run.data / "real/CUB_200_2011").symlink_to("/gone")
    with pytest.raises(DmixError, match=r"CUB_200_2011 is there already \(a link to /gone\)"):
        run.fetch(item(tmp_path, source(server)))
    assert not server.asked


def test_two_at_once_do_not_collide(server, run, tmp_path):
    cub = item(tmp_path, source(server))
    (run.data / "downloads").mkdir(parents=True)
    with held(run.data / "downloads/.cub.lock", print):
        second = threading.Thread(target=run.fetch, args=(cub,))
        second.start()
        while not run.told:
            second.join(0.01)
        assert run.told == [f"cub: waiting for {me()}, which is getting it"]
        assert not server.asked
    second.join()
    assert run.left() == ["CUB_200_2011"]


def test_disk_space_is_asked_for_beforehand(server, run, tmp_path):
    with pytest.raises(DmixError, match=r"cub needs about 3000000\.0 GB of disk, .* GB left"):
        run.fetch(item(tmp_path, source(server, bytes=10**15)))
    assert not server.asked


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("imagenet", ["an account at image-net.org", "ILSVRC2012_img_train.tar + ILSVRC2012_img_val.tar + "]),
        ("cars", ["Stanford", "car_ims.tgz + cars_annos.mat, or cars_train.tgz + cars_test.tgz"]),
    ],
)
def test_what_needs_an_account_or_is_gone_has_one_clear_message(run, name, parts):
    with pytest.raises(DmixError, match=f"{name} cannot be fetched") as caught:
        run.fetch(read_sources(ROOT / "reference/datasets.csv")[name])
    assert all(part in caught.value.message for part in parts)
    assert f"dmix data import {name} PATH" in caught.value.way_out


# Weights


@pytest.fixture
def weights(tmp_path, server, monkeypatch) -> Item:
    """An item whose weights torchvision would load from the server here, and their file name."""
    stream = io.BytesIO()
    torch.save({"fc.bias": torch.arange(3.0)}, stream)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    name = f"small-{digest[:8]}.pth"
    server.files[name] = stream.getvalue()
    models = torchvision().models
    entry = models.ResNet18_Weights.IMAGENET1K_V1
    small = type(entry.value)(server.url(name), entry.value.transforms, {})

    class Entry:
        get_state_dict = type(entry).get_state_dict
        url = small.url

    monkeypatch.setattr(models, "get_weight", {"ResNet18_Weights.SMALL": Entry()}.__getitem__)
    row = {
        "item": "small_weights", "kind": "weights", "path": f"weights/{name}", "file": name, "place": "copy",
        "url": "torchvision:ResNet18_Weights.SMALL", "algorithm": "sha256", "checksum": digest[:8],
    }  # fmt: skip
    return item(tmp_path, row)


def test_weights_come_through_torchvision(weights, server, run):
    run.fetch(weights, None)
    name = weights.path.name
    assert files_below(run.data / "real") == {f"weights/{name}": server.files[name]}
    assert run.left() == ["weights"]
    assert [asked for asked, _ in server.asked] == [name]
    run.fetch(weights, None)
    assert len(server.asked) == 1


def test_damaged_weights_are_refused(weights, server, run):
    server.files[weights.path.name] += b"x"
    with pytest.raises(DmixError, match=r"cannot get small-.*pth \(torchvision's .*invalid hash value"):
        run.fetch(weights, None)
    assert run.left() == []


def test_weights_without_a_connection_are_one_line_and_a_way_out(weights, run, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(DmixError) as caught:
        run.fetch(weights, None)
    assert caught.value.message.count("\n") == 0
    assert weights.path.name in caught.value.message
    assert "Temporary failure in name resolution" in caught.value.message
    assert "dmix data import small_weights PATH" in caught.value.way_out


# The command


def test_the_command_goes_on_after_a_failure_and_says_so(server, tmp_path, monkeypatch, capsys, birds):
    monkeypatch.chdir(tmp_path)
    imagenet = {
        "item": "imagenet",
        "path": "imagenet",
        "file": "x.tar",
        "place": "link",
        "checksum": "0" * 32,
    }
    table(tmp_path / "reference/datasets.csv", imagenet, source(server))
    small = real_params()
    small["datasets"]["cub"] |= {"classes": 2, "train_size": 4, "test_size": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(small, sort_keys=False))
    assert cli.main(["data", "fetch", "imagenet", "cub", "cub"]) == 2
    printed = capsys.readouterr()
    assert "dmix: imagenet cannot be fetched" in printed.err
    assert printed.out.splitlines()[-1] == "cub: data/real/CUB_200_2011"
    assert files_below(tmp_path / "data/real/CUB_200_2011") == files_below(birds)
    assert cli.main(["data", "verify", "cub"]) == 0
    assert "cub: 4 train and 2 test images of 2 classes, all whole" in capsys.readouterr().out
    assert cli.main(["data", "fetch", "cubs"]) == 2
    assert "there is no item 'cubs' to get\n  choose of imagenet, cub" in capsys.readouterr().err
