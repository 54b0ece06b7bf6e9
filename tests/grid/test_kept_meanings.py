"""What is known of a source is kept between processes, and of another source nothing of it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmix import PACKAGE
from dmix.grid import kept_meanings
from dmix.grid.code import _found_in
from dmix.grid.kept_meanings import Found, KeptMeanings

MODULE, SOURCE = "dmix.policies.cutmix", b"import dmix.engine\n"
FOUND: Found = ("01234567", ("dmix.engine",))


def forbidden() -> Found:
    raise AssertionError("a known module is read again")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that keeps one module."""
    path = tmp_path / "meanings.json"
    first = KeptMeanings(path)
    assert first.of(MODULE, SOURCE, lambda: FOUND) == FOUND
    first.keep()
    return path


def test_a_known_source_is_not_read_again(file: Path):
    assert KeptMeanings(file).of(MODULE, SOURCE, forbidden) == FOUND


def test_another_source_or_module_is_read(file: Path):
    other: Found = ("76543210", ())
    assert KeptMeanings(file).of(MODULE, SOURCE + b"\n", lambda: other) == other
    assert KeptMeanings(file).of(f"{MODULE}.__init__", SOURCE, lambda: other) == other


def test_other_code_of_meanings_reads_all_anew(file: Path, monkeypatch: pytest.MonkeyPatch):
    other: Found = ("76543210", ())
    monkeypatch.setattr(kept_meanings, "_finders", lambda: b"edited")
    assert KeptMeanings(file).of(MODULE, SOURCE, lambda: other) == other


def test_news_are_added_to_what_others_have_kept(file: Path):
    one, two = KeptMeanings(file), KeptMeanings(file)
    for kept, name in ((one, "dmix.a"), (two, "dmix.b")):
        kept.of(name, SOURCE, lambda: FOUND)
        kept.keep()
    for name in (MODULE, "dmix.a", "dmix.b"):
        assert KeptMeanings(file).of(name, SOURCE, forbidden) == FOUND


@pytest.mark.parametrize("text", ["", "{", "[]", '{"dmix.policies.cutmix": ["key", "digest"]}'])
def test_a_damaged_file_is_replaced(file: Path, text: str):
    file.write_text(text)
    kept = KeptMeanings(file)
    assert kept.of(MODULE, SOURCE, lambda: FOUND) == FOUND
    kept.keep()
    assert KeptMeanings(file).of(MODULE, SOURCE, forbidden) == FOUND


def test_nothing_is_written_without_the_folder_or_without_news(file: Path, tmp_path: Path):
    absent = KeptMeanings(tmp_path / "work/meanings.json")
    absent.of(MODULE, SOURCE, lambda: FOUND)
    absent.keep()
    assert not (tmp_path / "work").exists()
    before = file.stat().st_mtime_ns
    known = KeptMeanings(file)
    known.of(MODULE, SOURCE, forbidden)
    known.keep()
    assert file.stat().st_mtime_ns == before


def test_modules_come_back_as_they_were_found(tmp_path: Path):
    kept = KeptMeanings(tmp_path / "meanings.json")
    found = {}
    for path in sorted((PACKAGE / "policies").glob("*.py")):
        module, source = f"dmix.policies.{path.stem}", path.read_bytes()
        found[module, source] = kept.of(module, source, lambda: _found_in(source.decode(), module, False))  # noqa: B023
    kept.keep()
    again = KeptMeanings(tmp_path / "meanings.json")
    assert {key: again.of(*key, forbidden) for key in found} == found
    assert len({digest for digest, _ in found.values()}) == len(found) > 10
