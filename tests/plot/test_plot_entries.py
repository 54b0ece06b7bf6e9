"""What holds for every figure of params/figures, on invented records of the smoke tier."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from dmix.grid.expand import Grid
from dmix.plot.render import SUFFIXES, draw, render, write
from dmix.plot.source import Drawn
from dmix.plot.style import INCHES, styled
from drawn import cut_off, font_files, media_box, overlapping, texts, told_by_color_alone
from project import ROOT, real_params

# These forms mix images by trained weights, which cannot be invented: tests/figures, tests/show.
NEED_WEIGHTS = ("mixups", "mismatch")
FIGURES = {name: entry["use"] for name, entry in real_params()["figures"].items()}
SMALLEST = 6  # points
POINTS_PER_INCH = 72


SLOW = ("moons",)  # trains its networks, for half a minute
SHOWN = [
    pytest.param(name, marks=[pytest.mark.slow] if use in SLOW else [])
    for name, use in FIGURES.items()
    if use not in NEED_WEIGHTS
]


@pytest.fixture(scope="module", params=SHOWN)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def in_root(monkeypatch_module):
    """The repository's root as working directory, below which forms find reference/."""
    monkeypatch_module.chdir(ROOT)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(autouse=True)
def in_style():
    """dmix's style, whose fonts a figure needs also where it is measured."""
    with styled():
        yield


@pytest.fixture(scope="module")
def drawn(name, smoke: Grid, finished: Path, embedded_data: Path, in_root) -> Drawn:
    with styled():
        return draw(smoke, name, finished, embedded_data)


@pytest.fixture(scope="module")
def written(name, smoke, drawn, tmp_path_factory) -> dict[str, Path]:
    paths = write(smoke, name, drawn, tmp_path_factory.mktemp("figures"))
    return {path.suffix.removeprefix("."): path for path in paths}


def test_every_file_is_written_and_described(name, smoke, written, drawn):
    assert tuple(written) == SUFFIXES
    about = json.loads(written["json"].read_text())
    entry = smoke.figures[name]
    assert about["number"] == entry.number
    assert about["caption"].startswith(f"{entry.title}. ")
    assert len(about["caption"]) > len(entry.title) + 20
    assert len(about["alt"]) > 20
    assert "nan" not in about["alt"] + about["caption"]
    assert len(pd.read_csv(written["csv"])) == len(drawn.data) > 0
    assert rf"\label{{fig:dmix:{name.removeprefix('figure')}}}" in written["tex"].read_text()


def test_the_page_has_the_width_of_the_column_exactly(name, smoke, written):
    left, bottom, right, _ = media_box(written["pdf"].read_bytes())
    assert (left, bottom, right) == (0, 0, INCHES[smoke.figures[name].width] * POINTS_PER_INCH)


def test_fonts_are_embedded_and_none_is_of_type_3(written):
    subtypes, described, embedded = font_files(written["pdf"].read_bytes())
    assert subtypes == {b"Type0", b"CIDFontType2"}
    assert embedded == described > 0


def test_no_text_is_too_small_cut_off_or_covered(drawn):
    found = texts(drawn.figure)
    assert len(found) > 3
    assert min(text.get_fontsize() for text in found) >= SMALLEST
    assert cut_off(drawn.figure) == []
    assert overlapping(drawn.figure) == []


def test_no_two_series_of_one_axes_differ_in_colour_alone(drawn):
    for axes in drawn.figure.axes:
        assert told_by_color_alone(axes) == []


@pytest.mark.slow
def test_it_draws_with_gaps_and_says_so(name, smoke, half, embedded_data, in_root):
    names = smoke.figure_runs(smoke.figures[name])
    if not names:
        pytest.skip("made of no run")
    done = sum((half / smoke.places[run] / "record.json").exists() for run in names)
    with styled():
        found = draw(smoke, name, half, embedded_data)
    assert 0 < done < len(names)
    assert f"{done} of {len(names)} runs are finished." in found.says
    assert cut_off(found.figure) == []
    assert overlapping(found.figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_without_any_record_it_says_nothing_yet(name, smoke, tmp_path, embedded_data, in_root):
    if not smoke.figure_runs(smoke.figures[name]):
        pytest.skip("made of no run")
    paths = render(smoke, name, tmp_path / "none", tmp_path, embedded_data)
    assert "None of its runs is finished." in json.loads(paths[-1].read_text())["caption"]
    with styled():
        found = draw(smoke, name, tmp_path / "none", embedded_data)
    assert [text.get_text() for text in texts(found.figure)] == ["nothing yet"]
