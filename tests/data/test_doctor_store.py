"""`dmix doctor --store`: every state of the copies in DVC's cache and store, and what repairing does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dmix import cli
from dmix.doctor.finding import Finding
from dmix.doctor.place import Place
from dmix.errors import DmixError
from dvc_checkouts import alone
from project import BIN

REPAIR = "dmix doctor --store --repair"
FOLDER = {"out/one": b"first", "out/two": b"second", "out/again": b"first"}
FILE = {"file": b"alone"}
CACHE, STORE = ".dvc/cache", "../store"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a folder and a file that DVC keeps; its store is to be a folder beside it."""
    path = tmp_path_factory.mktemp("template") / "checkout"
    (path / "out").mkdir(parents=True)
    for name, content in (FOLDER | FILE).items():
        (path / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        alone(path.parent, patch)
        patch.chdir(path)
        dvc("init", "--quiet", "--no-scm")
        dvc("remote", "add", "--default", "store", STORE)
        dvc("add", "--quiet", "out", "file")
    return path


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout, for this test alone."""
    alone(tmp_path, monkeypatch)
    shutil.copytree(template, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


def dvc(*arguments: str) -> None:
    subprocess.run([str(BIN / "dvc"), *arguments], check=True, capture_output=True)


def place(folder: Path | str, content: bytes) -> Path:
    digest = hashlib.md5(content).hexdigest()
    return Path(folder) / "files/md5" / digest[:2] / digest[2:]


def listing(folder: Path | str) -> Path:
    (found,) = Path(folder).rglob("*.dir")
    return found


def spoil(path: Path, content: bytes = b"spoilt") -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def looked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Finding]]:
    status = cli.main(["doctor", "--json", "--store", *arguments])
    return status, [Finding(**each) for each in json.loads(capsys.readouterr().out)["findings"]]


def told(found: list[Finding]) -> dict[str, tuple[str, str, str]]:
    return {each.name: (each.state, each.detail, each.command) for each in found}


def test_what_is_not_pushed_yet_is_missing_and_then_whole(here, capsys):
    status, found = looked(capsys)
    assert status == 0
    assert told(found) == {
        "out": ("missing", "3 of 3 objects are not in the store yet", "dvc push out"),
        "file": ("missing", "1 of 1 objects are not in the store yet", "dvc push file"),
    }
    dvc("push")
    assert told(looked(capsys)[1]) == {
        "out": ("ok", "3 objects, whole; 3 of them in the cache too", ""),
        "file": ("ok", "1 objects, whole; 1 of them in the cache too", ""),
    }
    place(CACHE, b"second").unlink()  # as where only records were pulled
    assert told(looked(capsys, "out/two")[1]) == {
        "out": ("ok", "2 objects, whole; 1 of them in the cache too", "")
    }
    assert looked(capsys, "nothing")[1][0].state == "missing"


def test_every_fault_is_named_and_repaired(here, capsys):
    dvc("push")
    whole = {path: path.read_bytes() for root in (CACHE, STORE) for path in Path(root).rglob("files/md5/*/*")}
    assert len(whole) == 8
    spoil(place(CACHE, b"first"))
    spoil(place(STORE, b"first"), b"")
    spoil(place(CACHE, b"alone"))
    place(STORE, b"second").unlink()
    spoil(listing(CACHE))
    status, found = looked(capsys)
    assert status == 1
    assert {name: each[1:] for name, each in told(found).items()} == {
        "out": ("its listing is damaged in the cache", REPAIR),
        "out/one": ("damaged in the cache and the store", REPAIR),
        "out/two": ("not in the store, which should have it", REPAIR),
        "file": ("damaged in the cache", REPAIR),
    }
    status, found = looked(capsys, "--repair")
    assert status == 0
    assert sorted(each.name for each in found if each.group == "repaired") == [
        "file",
        "out",
        "out/one",
        "out/two",
    ]
    assert {path: path.read_bytes() for path in whole} == whole
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in whole if path.is_relative_to(CACHE))
    assert set(Path(CACHE).rglob("*")) | set(Path(STORE).rglob("*")) >= set(whole)
    assert not list(Path(CACHE).rglob("*.part"))


def test_a_copy_is_got_back_from_the_store_where_the_file_is_another_now(here, capsys):
    dvc("push")
    Path("file").write_bytes(b"trained again, not recorded")
    spoil(place(CACHE, b"alone"))
    assert looked(capsys, "--repair")[0] == 0
    assert place(CACHE, b"alone").read_bytes() == b"alone"
    assert Path("file").read_bytes() == b"trained again, not recorded"


def test_what_is_whole_nowhere_is_said_and_left_as_it_is(here, capsys):
    dvc("push")
    Path("out/two").unlink()
    place(CACHE, b"second").unlink()
    spoil(place(STORE, b"second"))
    for arguments in ((), ("--repair",)):
        status, found = looked(capsys, *arguments)
        assert status == 1
        state, detail, command = told(found)["out/two"]
        assert (state, detail) == ("broken", "damaged in the store; there is no whole copy here")
        assert command == f"{REPAIR} in a checkout that has one, or make out again"
        assert place(STORE, b"second").read_bytes() == b"spoilt"
    place(STORE, b"second").unlink()
    assert told(looked(capsys)[1])["out/two"][1].startswith("neither in the cache nor in the store; ")


def test_a_listing_that_is_whole_nowhere(here, capsys):
    dvc("push")
    for root in (CACHE, STORE):
        spoil(listing(root), b"[")
    status, found = looked(capsys)
    assert status == 1
    detail = "its listing is damaged in the cache and the store; there is no whole copy here"
    assert told(found)["out"][:2] == ("broken", detail)


def test_where_there_is_no_dvc_or_no_store(here, capsys, tmp_path, monkeypatch):
    dvc("remote", "remove", "store")
    assert cli.main(["doctor", "--store"]) == 2
    assert "no remote" in capsys.readouterr().err.lower()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["doctor", "--store"]) == 2
    assert "DVC cannot open this checkout" in capsys.readouterr().err
    assert cli.main(["doctor", "--repair"]) == 2
    assert REPAIR in capsys.readouterr().err


def test_a_key_that_is_missing_keeps_from_the_store(monkeypatch):
    class Keyless:
        path = "files/md5"

        class fs:
            @staticmethod
            def exists(path):
                raise FileNotFoundError(2, "No such file or directory", "/no/key")

    with pytest.raises(DmixError, match=r"cannot read the store: .*/no/key") as caught:
        Place("the store", Keyless()).connect()
    assert "credentials" in caught.value.way_out
