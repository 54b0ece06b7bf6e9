"""Curves on a terminal and as a picture, checked by the dots and lines that are drawn."""

from __future__ import annotations

import re

import pytest

from dmix import cli
from dmix.curves import picture, terminal
from dmix.curves.curve import chart
from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.history import History, history_csv
from dmix.grid.paths import RunPaths
from dmix.holder import me
from project import ROOT, small_params

CELL = "supervised/cifar10/resnet18/cutmix/mce"
OTHER = "supervised/cifar10/resnet18/mixup/mce"


def history(name, values, finished=True, **more):
    rows = tuple({"epoch": i, "step": 4 * i, "top1_a": y, **more} for i, y in enumerate(values, 1))
    return History(name, rows, finished)


def seeds(cell=CELL):
    return [history(f"{cell}/s0", (1.0, 2.0, 4.0)), history(f"{cell}/s1", (3.0, 4.0), finished=False)]


def test_the_metric_is_each_runs_primary_accuracy_over_epochs():
    drawn = chart(seeds(), None, {f"{CELL}/s1": "stopped"})
    assert (drawn.title, drawn.x_label, drawn.y_label) == (CELL, "epoch", "top-1 accuracy (%)")
    assert [(c.name, c.x, c.y, c.note) for c in drawn.curves] == [
        (f"{CELL}/s0", (1, 2, 3), (1, 2, 4), ""),
        (f"{CELL}/s1", (1, 2), (3, 4), "stopped"),
    ]


def test_a_run_that_counts_steps_puts_all_over_steps_and_one_without_the_metric_is_left_out():
    rows = ({"step": 5, "loss": 1.0}, {"step": 9, "loss": 2.0, "top1_b": 7.0})
    by_steps = History(f"{OTHER}/s0", rows, True)
    drawn = chart([*seeds(), by_steps], None, {})
    assert drawn.x_label == "step"
    assert [c.x for c in drawn.curves] == [(4, 8, 12), (4, 8), (9,)]
    only = chart([*seeds(), by_steps], "loss", {})
    assert [c.name for c in only.curves] == [f"{OTHER}/s0"]
    assert only.curves[0].y == (1, 2)
    with pytest.raises(DmixError, match="no run has mass yet") as caught:
        chart([*seeds(), by_steps], "mass", {})
    assert caught.value.way_out == "choose --metric of top1_a, loss, top1_b"


def dots(lines):
    """Return the places of all dots as (column, row), from the upper left of the plot."""
    found = set()
    for row, line in enumerate(lines):
        for column, char in enumerate(line[terminal.LABEL + 1 :]):
            if 0x2800 < ord(char) < 0x2900:
                bits = ord(char) - 0x2800
                for x, marks in enumerate(terminal.DOTS):
                    found |= {(2 * column + x, 4 * row + y) for y, mark in enumerate(marks) if bits & mark}
    return found


def test_a_straight_line_is_drawn_from_corner_to_corner():
    drawn = chart([history(f"{CELL}/s0", (0.0, 50.0, 100.0))], None, {})
    plot = [str(line) for line in terminal.draw(drawn, 80)]
    assert plot[0] == f"top-1 accuracy (%)  {CELL}/s0"
    rows = plot[1 : 1 + terminal.ROWS]
    assert [rows[0].split()[0], rows[8].split()[0], rows[15].split()[0]] == ["100", "50", "0"]
    assert {len(row) for row in rows} == {80}
    width, height = 2 * (80 - terminal.LABEL - 1) - 4, 4 * terminal.ROWS - 1
    found = dots(rows)
    assert {(0, height), (width, 0)} <= found
    assert all(abs(y - (height - x * height / width)) <= 1 for x, y in found)
    assert {x for x, _ in found} == set(range(width + 1))
    assert rows[0][-1] == "A"
    assert re.fullmatch(r" +1 +epoch 3", plot[17])
    assert plot[18] == "A s0: 100 at epoch 3"


def test_letters_stand_in_the_order_of_the_values_even_where_these_are_close():
    values = (90.0, 91.0, 92.0, 10.0)
    curves = [history(f"{CELL}/s{i}", (0.0, value)) for i, value in enumerate(values)]
    plot = [str(line) for line in terminal.draw(chart(curves, None, {}), 60)]
    column = "".join(line[-1] for line in plot[1 : 1 + terminal.ROWS])
    assert re.fullmatch(r" *C *B *A *D *", column)


def test_a_single_point_and_equal_values_can_be_drawn():
    for values in ((7.0,), (7.0, 7.0)):
        plot = [str(line) for line in terminal.draw(chart([history(f"{CELL}/s0", values)], None, {}), 60)]
        assert len(dots(plot[1 : 1 + terminal.ROWS])) >= len(values)


def test_more_curves_than_letters_are_refused():
    many = [history(f"{CELL}/s{i}", (1.0,)) for i in range(27)]
    with pytest.raises(DmixError, match="27 curves cannot be told apart on a terminal"):
        list(terminal.draw(chart(many, None, {}), 80))
    assert len(picture.draw(chart(many, None, {})).axes[0].lines) == 28


def test_a_picture_has_a_line_for_each_seed_and_their_mean_where_all_have_a_value():
    drawn = chart([*seeds(), history(f"{OTHER}/s0", (5.0,))], None, {f"{CELL}/s1": "stopped"})
    figure = picture.draw(drawn)
    first, second, mean, other = figure.axes[0].lines
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([1, 2, 3], [1, 2, 4])
    assert (list(second.get_xdata()), list(second.get_ydata())) == ([1, 2], [3, 4])
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([1, 2], [2, 3])
    assert list(other.get_ydata()) == [5]
    assert {line.get_color() for line in (first, second, mean)} != {other.get_color()}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "cutmix/mce: 3 (mean of 2 seeds, 1 in progress)",
        "mixup/mce: 5 (1 seed)",
    ]


@pytest.fixture
def laid(tmp_path, monkeypatch):
    """Two seeds in progress, the second by a living process."""
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = load_grid("embedded")
    for found in seeds():
        paths = RunPaths("embedded", grid.folders[found.name])
        paths.work.mkdir(parents=True)
        paths.live_history.write_text(history_csv(found.rows))
    paths.lock.write_text(me().text)
    paths.progress.write_text('{"step": 8, "total": 20, "seconds_left": 7200.0, "host": "a", "pid": 1}')
    return tmp_path


def test_the_command_tells_runs_in_progress_and_those_without_a_curve(laid, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    assert cli.main(["curves", CELL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:] == [
        "A s0: 4 at epoch 3, interrupted",
        "B s1: 4 at epoch 2, running, about 2 hours left",
        "without a curve so far: 1 of 3 runs",
    ]


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_the_command_writes_equal_pictures_for_equal_curves(laid, suffix, capsys):
    for name in ("a", "b"):
        assert cli.main(["curves", CELL, "--metric", "top1_a", "--out", f"{name}.{suffix}"]) == 0
    first = (laid / f"a.{suffix}").read_bytes()
    assert first == (laid / f"b.{suffix}").read_bytes()
    assert first.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((f"{OTHER}/s0",), f"there is no curve yet: {OTHER}/s0 has no history"),
        ((OTHER,), "there is no curve yet: none of the 3 runs that are named has a history"),
        (("supervised/cifar11",), "no run of tier embedded is named by 'supervised/cifar11'"),
        ((CELL, "--out", "curves.gif"), "cannot draw curves.gif\n  give it a name that ends in .pdf or .png"),
        ((CELL, "--metric", "mass"), "no run has mass yet"),
    ],
)
def test_what_cannot_be_drawn_is_one_message(laid, capsys, arguments, message):
    assert cli.main(["curves", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"dmix: {message}\n")
    assert len(told.splitlines()) == 2
