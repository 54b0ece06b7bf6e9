"""Values that are worked out when they are asked for, and the folder of one run among many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmix.grid import expand
from dmix.grid.lazy import Lazy


def test_each_name_is_looked_up_once_and_not_before():
    asked: list[str] = []

    def find(name: str) -> str | None:
        asked.append(name)
        return name.upper() if name != "b" else None

    found = Lazy(["a", "b", "c"], find)
    assert asked == []
    assert found["c"] == "C"
    assert found.get("b") is None
    assert asked == ["c", "b"]
    with pytest.raises(KeyError):
        found["d"]
    assert found == {"a": "A", "c": "C"}
    assert list(found) == ["a", "c"]
    assert len(found) == 2
    assert asked == ["c", "b", "a"]


def test_the_folder_of_one_run_needs_no_other(expanded, monkeypatch):
    grid = replace(expanded(small=True))
    made: list[str] = []
    whole = {name: expand.folder(spec) for name, spec in grid.runs.items() if not grid.missing(name)}
    name = list(whole)[3]
    with monkeypatch.context() as patched:
        real = expand.folder
        patched.setattr(expand, "folder", lambda spec: made.append(spec.name) or real(spec))
        assert grid.places[name] == whole[name]
    assert made == [name]
    assert dict(grid.places) == whole
    assert list(grid.places) == list(whole)
