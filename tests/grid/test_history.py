"""Histories are written, read back, found for finished runs and runs in progress, and selected by name."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.history import accuracies, history_csv, last_accuracy, read_history, read_rows
from dmix.grid.paths import RunPaths
from dmix.grid.select import select
from project import ROOT, small_params

ROW = "supervised/cifar10/resnet18"
NAME = f"{ROW}/cutmix/mce/s1"
ROWS = ({"step": 4, "loss": 2.5}, {"step": 8, "loss": 0.1 + 0.2, "top1_a": 50.0, "top1_b": 1.0}, {"step": 9})


@pytest.fixture
def grid(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return load_grid("embedded")


def lay(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_rows_come_back_to_the_last_digit_with_late_columns(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(history_csv(ROWS))
    assert path.read_text().splitlines()[:2] == ["step,loss,top1_a,top1_b", "4,2.5,,"]
    assert read_rows(path) == ROWS
    assert accuracies(ROWS) == ["top1_a", "top1_b"]
    assert last_accuracy(ROWS) == 50.0
    assert last_accuracy(ROWS[:1]) is None
    assert last_accuracy(()) is None


@pytest.mark.parametrize("line", ["1,2,3", "1,much"])
def test_a_damaged_row_is_named(tmp_path, line):
    path = tmp_path / "history.csv"
    path.write_text(f"step,loss\n1,2\n{line}\n")
    with pytest.raises(DmixError, match=r"history\.csv:3: not a row of a history"):
        read_rows(path)


def test_a_finished_run_has_that_of_its_results_and_another_one_what_it_has_so_far(grid):
    paths = RunPaths("embedded", grid.folders[NAME])
    assert read_history(grid, NAME) is None
    lay(paths.live_history, "step,loss\n1,2\n")
    lay(paths.history, "step,loss\n1,2\n2,1\n")
    found = read_history(grid, NAME)
    assert (found.rows, found.finished) == (({"step": 1, "loss": 2},), False)
    lay(paths.record, "{}")
    found = read_history(grid, NAME)
    assert (len(found.rows), found.finished) == (2, True)
    assert read_history(grid, f"{ROW}/ghost/mce/s0") is None  # not implemented, has no folder


def test_names_beginnings_and_patterns_select_runs_once_in_the_order_of_the_grids(grid):
    seeds = tuple(f"{ROW}/cutmix/mce/s{seed}" for seed in range(3))
    assert select(grid, [NAME]) == (NAME,)
    assert select(grid, [seeds[2], f"{ROW}/cutmix/mce", f"{ROW}/cutmix/mce/"]) == seeds
    assert select(grid, ["*10/*/cutmix/mce"]) == seeds
    assert select(grid, ["*/s1"]) == tuple(name for name in grid.runs if name.endswith("/s1"))
    assert select(grid, ["supervised"]) == tuple(grid.runs)


@pytest.mark.parametrize("wrong", [f"{ROW}/cutmix/mc", f"{ROW}/cutmix/mce/s9", "*/s9"])
def test_what_names_no_run_is_refused(grid, wrong):
    with pytest.raises(DmixError, match="no run of tier embedded is named by") as caught:
        select(grid, [NAME, wrong])
    assert caught.value.way_out
