"""A data set is copied to the node's own disk once, and read from there with the layout of `data/`."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from dmix.errors import DmixError
from dmix.job import staged as module
from dmix.job.staged import stage_folder, staged

SPEC = SimpleNamespace(settings={"dataset": {"edition": "real", "folder": "birds"}})


@pytest.fixture
def data(tmp_path):
    """Return a data folder whose images lie elsewhere, as links."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/b.jpg").write_bytes(b"bird")
    folder = tmp_path / "data/real/birds/images"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"other bird")
    (folder / "b.jpg").symlink_to(tmp_path / "elsewhere/b.jpg")
    return tmp_path / "data"


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_copy_has_the_files_themselves_and_is_made_once(data, tmp_path, monkeypatch):
    root = staged(SPEC, tmp_path / "disk", data)
    assert root != data
    assert files(root / "real/birds") == files(data / "real/birds")
    assert not (root / "real/birds/images/b.jpg").is_symlink()
    monkeypatch.setattr(shutil, "copytree", lambda *_: pytest.fail("copied again"))
    assert staged(SPEC, tmp_path / "disk", data) == root


def test_a_data_set_that_changed_is_copied_again(data, tmp_path):
    staged(SPEC, tmp_path / "disk", data)
    (data / "real/birds/new.txt").write_text("x")
    os.utime(data / "real/birds", ns=(1, 1))
    root = staged(SPEC, tmp_path / "disk", data)
    assert files(root / "real/birds") == files(data / "real/birds")


def test_without_room_the_original_is_read_and_nothing_is_left(data, tmp_path, monkeypatch, capsys):
    def full(source, target):
        target.mkdir(parents=True)
        (target / "half").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copytree", full)
    assert staged(SPEC, tmp_path / "disk", data) == data
    assert "No space left on device" in capsys.readouterr().out
    assert list((tmp_path / "disk/dmix-data/real").iterdir()) == []


def test_without_a_folder_or_data_the_original_is_read(data, tmp_path):
    assert staged(SPEC, None, data) == data
    absent = SimpleNamespace(settings={"dataset": {"edition": "real", "folder": "none"}})
    assert staged(absent, tmp_path / "disk", data) == data
    assert not (tmp_path / "disk").exists()


def test_a_variable_that_is_not_set_is_an_error():
    assert stage_folder(None) is None
    with pytest.raises(DmixError, match="not set"):
        stage_folder("")
