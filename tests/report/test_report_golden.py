"""The files of a table, byte by byte. They were read by eye; to renew them, render and read again."""

import pytest

from dmix.report.build import render

SUFFIXES = (
    *(".tex", ".csv", ".md", ".txt", "_body.tex", "_beside.tex", "_beside.csv", "_beside.md", "_beside.txt"),
    *("_comparison.csv", "_comparison.md", "_comparison.tex", "_numbers.tex"),
)
FILES = [f"toy{suffix}" for suffix in SUFFIXES]
SWEEP_FILES = [f"sweep{suffix}" for suffix in SUFFIXES]


def test_render_returns_what_it_writes(toy, tmp_path):
    out = tmp_path / "out"
    assert render(toy.grid, "toy", toy.root, out, toy.reference) == [out / name for name in FILES]
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_golden(toy, tmp_path, name):
    render(toy.grid, "toy", toy.root, tmp_path / "out", toy.reference)
    assert (tmp_path / "out" / name).read_bytes() == (toy.expected / name).read_bytes()


@pytest.mark.parametrize("name", SWEEP_FILES)
def test_golden_of_a_sweep(toy, tmp_path, name):
    render(toy.sweep(), "sweep", toy.root, tmp_path / "out", toy.reference)
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
