"""Publishing touches a file only where its bytes change."""

import os

import pytest

from dmix.errors import DmixError
from dmix.report.build import render
from dmix.report.publish import publish


def test_new_equal_changed(tmp_path):
    source, target = tmp_path / "a.tex", tmp_path / "out" / "b.tex"
    source.write_text("one\n")
    assert publish(source, target)
    os.utime(target, ns=(1, 1))
    assert not publish(source, target)
    assert target.stat().st_mtime_ns == 1
    source.write_text("two\n")
    assert publish(source, target)
    assert target.read_text() == "two\n"
    assert [path.name for path in target.parent.iterdir()] == ["b.tex"]


def test_no_source(tmp_path):
    with pytest.raises(DmixError, match="cannot read"):
        publish(tmp_path / "none", tmp_path / "out")


def test_unknown_table(toy, tmp_path):
    with pytest.raises(DmixError, match="no table named 'other'"):
        render(toy.grid, "other", toy.root, tmp_path, toy.reference)
