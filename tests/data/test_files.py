"""Files and folders appear under their names when they are whole and on the disk."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from dmix import files
from dmix.errors import DmixError
from dmix.files import atomic_write, publish, publish_folder
from project import ROOT


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that put bytes on the disk and give names, in their order."""
    made: list[str] = []

    def noting(name: str, original: object) -> object:
        def call(*arguments: object) -> object:
            made.append(name)
            return original(*arguments)  # type: ignore[operator]

        return call

    for name in ("fsync", "sync", "replace"):
        monkeypatch.setattr(os, name, noting(name, getattr(os, name)))
    monkeypatch.setattr(Path, "rename", noting("replace", Path.rename))
    return made


def test_bytes_are_on_the_disk_before_a_name_is_given_and_then_the_name(calls, tmp_path):
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"a")
    assert calls == ["fsync", "replace", "fsync"]
    calls.clear()
    publish(tmp_path / "a", tmp_path / "b")
    assert calls == ["fsync", "replace", "fsync"]
    calls.clear()
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft/x").write_text("x")
    publish_folder(tmp_path / "draft", tmp_path / "folder")
    assert calls == ["sync", "replace", "fsync"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "folder"]


def test_nothing_else_gives_names():
    """Whoever renames a file or folder that others read does it here, or says here why not."""
    allowed = {
        "files.py",
        "lock.py",  # a lock has a meaning only while its process lives
        "job/live.py",  # the history of a run in progress, which is written again with the next row
        "job/helper.py",  # a socket
        "export/bundle.py",  # whole folders
        "data/obtain/install.py",  # inside of a draft
        "grid/earlier.py",  # whole files of an earlier dmix, to their place today
        "job/staged.py",  # a whole folder, on a disk that its node forgets
    }
    renaming = re.compile(r"os\.replace\(|os\.rename\(|\.rename\((?!columns=)|os\.link\(|shutil\.move\(")
    found = {
        str(path.relative_to(ROOT / "src/dmix"))
        for path in (ROOT / "src/dmix").rglob("*.py")
        if renaming.search(path.read_text())
    }
    assert found == allowed


@pytest.mark.parametrize(
    ("number", "harmless"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)]
)
def test_file_systems_that_cannot_sync_folders_are_written_to(monkeypatch, tmp_path, number, harmless):
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        original(descriptor)

    monkeypatch.setattr(files.os, "fsync", fsync)
    if harmless:
        files.write_text(tmp_path / "a", "a")
    else:
        with pytest.raises(DmixError, match="Input/output error"):
            files.write_text(tmp_path / "a", "a")
