"""The files of a table, byte by byte. They were read by eye; to renew them, render and read again."""

import pytest

from dmix.report.build import render

FILES = [f"toy.{suffix}" for suffix in ("tex", "csv", "md", "txt")]
FILES += [f"toy_comparison.{suffix}" for suffix in ("csv", "md", "tex")]


def test_render_returns_what_it_writes(toy, tmp_path):
    out = tmp_path / "out"
    assert render(toy.grid, "toy", toy.root, out, toy.reference) == [out / name for name in FILES]
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_golden(toy, tmp_path, name):
    render(toy.grid, "toy", toy.root, tmp_path / "out", toy.reference)
    assert (tmp_path / "out" / name).read_bytes() == (toy.expected / name).read_bytes()


def test_bytes_do_not_depend_on_place_or_time(toy, tmp_path):
    elsewhere = tmp_path / "other" / "runs"
    elsewhere.parent.mkdir()
    render(toy.grid, "toy", toy.root, tmp_path / "a", toy.reference)
    toy.root.rename(elsewhere)
    render(toy.make_grid(toy.specs()), "toy", elsewhere, tmp_path / "b", toy.reference)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_empty_tier_renders_gaps(toy, tmp_path):
    out = tmp_path / "out"
    render(toy.grid, "toy", tmp_path / "nothing", out, toy.reference)
    text = (out / "toy.txt").read_text()
    assert "without a record: Vanilla, Mix_up & Co" in text
    assert "±" not in text.split("Policy")[1]
