"""Figure 1 and the label mismatch, drawn of the small project: what is drawn is what the policies return."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from dmix.errors import DmixError
from dmix.figures.mismatch import mismatch
from dmix.figures.mixups import mixups
from dmix.grid.expand import load_grid
from dmix.grid.figure import FigureEntry
from dmix.plot.source import Source
from dmix.plot.style import styled
from dmix.show import mixups as show
from dmix.show.mixups import gallery

RUNS, DATA = Path("results/smoke/records"), Path("data")


@pytest.fixture
def source(project, monkeypatch):
    monkeypatch.chdir(project.path)
    grid = load_grid("smoke")
    entry = FigureEntry(
        number="1", title="t", use="any", grids=tuple(grid.grids), where={"objective": "mce", "seed": 0}
    )
    with styled():
        yield Source(grid, "figure1", entry, RUNS, DATA)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_each_picture_has_its_lam_and_underlined_share(source):
    drawn = mixups(source, datasets=("cifar100", "cifar10"), pairs=2, lam=0.3)
    found = {name: gallery(source.grid, name, 0.3, RUNS, DATA, pairs=2) for name in ("cifar100", "cifar10")}
    columns = 2 + len(found["cifar100"].columns)
    assert len(drawn.figure.axes) == 4 * columns
    assert drawn.figure.get_size_inches()[0] == 5.5
    assert len(drawn.data) == 4 * (columns - 2)
    row = 0
    for name, each in found.items():
        for pair in range(2):
            line = drawn.figure.axes[row * columns : (row + 1) * columns]
            for axis, column in zip(line[2:], each.columns, strict=True):
                picture = column.pictures[pair]
                known = not math.isnan(picture.share)
                assert known == (name == "cifar100")
                share = [rf"$\underline{{{picture.share:.2f}}}$"] if known else []
                assert texts(axis) == [rf"$\lambda$ {picture.lam:.2f}", *share]
                assert (axis.images[0].get_array() == picture.pixels).all()
            row += 1
    assert min(text.get_fontsize() for axis in drawn.figure.axes for text in axis.texts) >= 6
    assert "known from masks" in drawn.says
    assert "so there is no share" in drawn.says


def test_a_data_set_that_is_not_here_is_left_out_and_said(source):
    link = Path("data")
    target = link.resolve()
    link.unlink()
    link.mkdir()
    (link / "embedded").mkdir()
    (link / "embedded/cifar-100-python").symlink_to(target / "embedded/cifar-100-python")
    drawn = mixups(source, datasets=("cifar10", "cifar100"), pairs=1, lam=0.5)
    assert set(drawn.data["dataset"]) == {"cifar100"}
    assert "CIFAR-10 is left out: " in drawn.says
    nothing = mixups(source, datasets=("cifar10",), pairs=1, lam=0.5)
    assert nothing.data.empty
    assert nothing.alt
    (link / "embedded/cifar-100-python").unlink()
    assert mismatch(source, batches=1, pairs=2).data.empty


def test_a_policy_that_cannot_be_drawn_is_left_out_and_said(source, monkeypatch):
    own = show._column

    def column(grid, name, *rest):
        if "/cutmix/" in name:
            raise DmixError("its weights are not here", "get them")
        return own(grid, name, *rest)

    monkeypatch.setattr(show, "_column", column)
    drawn = mixups(source, datasets=("cifar100",), pairs=1, lam=0.5)
    assert "CutMix" not in set(drawn.data["policy"])
    assert "CutMix is left out: its weights are not here." in drawn.says
    assert "get them" not in drawn.says


def test_mismatch_is_sorted_and_drawn_as_in_the_data(source):
    drawn = mismatch(source, batches=3, pairs=4, dots=5)
    again = mismatch(source, batches=3, pairs=4, dots=5)
    pd.testing.assert_frame_equal(drawn.data, again.data)
    first = drawn.data.drop_duplicates("policy")
    assert set(first["policy"]) == {"mixup", "cutmix"}
    assert first["mean_abs"].is_monotonic_increasing
    assert (first["pairs"] == 12).all()
    (axis,) = drawn.figure.axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert [label.partition(",")[0].lower() for label in labels] == first["policy"].tolist()
    dots = [line for line in axis.lines if line.get_marker() in ("o", "^", "D")]
    for line, policy in zip(dots, first["policy"], strict=True):
        expected = drawn.data[drawn.data["policy"] == policy]["mismatch"]
        assert line.get_xdata().tolist() == expected.tolist()
    assert len({line.get_marker() for line in dots}) == 2
    for policy, mean in zip(first["policy"], first["mean_abs"], strict=True):
        assert f"{source.title('policy', policy)} {mean:.3f}" in drawn.alt
    assert "CIFAR-100 (embedded edition), 12 pairs" in drawn.says
