"""Runs are chosen by tables, seeds and axes, and kept under a name."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.choose import VALUE, Wanted, choose_runs
from dmix.grid.paths import RunPaths
from dmix.grid.select import selected, with_sources, write_selection
from project import ROOT, real_grid


def test_without_a_wish_all_are_chosen():
    grid = real_grid("smoke")
    assert choose_runs(grid, Wanted()) == tuple(grid.runs)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(tables=("table1",), seeds=(0,)),
        Wanted(tables=("table1", "table5"), policies=("mixup", "cutmix")),
        Wanted(datasets=("cub", "cifar10"), backbones=("resnet18", "wrn28_2")),
        Wanted(methods=("fixmatch", "self_tuning")),
        Wanted(objectives=("dm_ce",), tables=("table5",)),
    ],
)
def test_a_run_is_chosen_if_it_has_one_value_of_each(wanted):
    grid = real_grid("smoke")
    tables = wanted.tables or grid.tables
    of_tables = {name for table in tables for name in grid.table_runs(grid.params.tables[table])}

    def has(name):
        values = {field: getattr(wanted, field) for field in VALUE}
        return (name in of_tables or not wanted.tables) and all(
            not these or VALUE[f](grid.runs[name]) in these for f, these in values.items()
        )

    expected = tuple(name for name in grid.runs if has(name))
    assert choose_runs(grid, wanted) == expected
    assert 0 < len(expected) < len(grid.runs)


@pytest.mark.parametrize(
    ("wanted", "message", "way_out"),
    [
        (Wanted(tables=("tabel1",)), "--tables tabel1", "did you mean table1"),
        (Wanted(seeds=(7,)), "--seeds 7", "choose of 0"),
        (Wanted(policies=("cutmixx",)), "--policies cutmixx", "did you mean cutmix"),
        (Wanted(tables=("table7",), datasets=("cub",)), "--tables table7 --datasets cub", "leave one"),
    ],
)
def test_what_chooses_nothing_is_named(wanted, message, way_out):
    with pytest.raises(DmixError, match=message) as caught:
        choose_runs(real_grid("smoke"), wanted)
    assert way_out in caught.value.way_out


def test_a_selection_brings_the_runs_that_its_runs_start_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = real_grid("smoke")
    tuned = next(name for name, spec in grid.runs.items() if spec.source is not None)
    write_selection("smoke", "tuned", [tuned])
    assert set(selected(grid, "tuned")) == {tuned, grid.runs[tuned].source.name}
    assert with_sources(grid, selected(grid, "tuned")) == selected(grid, "tuned")


def test_a_restricted_grid_has_folders_of_its_runs_and_of_those_with_a_record(tmp_path, monkeypatch):
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = real_grid("smoke")
    chosen, done, *_ = (name for name, spec in grid.runs.items() if spec.source is None)
    record = RunPaths("smoke", grid.folders[done]).record
    assert dict(grid.restricted([chosen]).folders) == {chosen: grid.folders[chosen]}
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    restricted = grid.restricted([chosen])
    assert dict(restricted.folders) == {name: grid.folders[name] for name in (chosen, done)}
    assert restricted.runs == grid.runs
