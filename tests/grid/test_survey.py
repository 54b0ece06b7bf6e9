"""A survey says of all runs what `run_status` says of each, in few operations that overlap."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from dmix import cli
from dmix.grid.expand import Grid, load_grid
from dmix.grid.paths import RunPaths
from dmix.grid.plan import make_plan
from dmix.grid.status import run_status
from dmix.grid.survey import survey
from dmix.holder import me
from dmix.reading import seal
from project import ROOT, small_params
from slow_files import SlowFiles

OLD = time.time() - 60
RECORDS = 1600


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grid_of(seeds: int) -> Grid:
    params = small_params().replace("seeds: [0, 1, 2]", f"seeds: {list(range(seeds))}")
    Path("params.yaml").write_text(params)
    return load_grid("embedded")


def finish(grid: Grid, name: str, **said: object) -> Path:
    """Lay a finished run whose files have settled; return the folder of its record."""
    paths = RunPaths(grid.tier, grid.places[name])
    folder = paths.results
    for made in (folder, paths.weights.parent):
        made.mkdir(parents=True)
    weights, history = b"weights of " + name.encode(), b"step\n1\n"
    paths.weights.write_bytes(weights)
    (folder / "history.csv").write_bytes(history)
    values = {
        "schema_version": 2,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "history_sha256": hashlib.sha256(history).hexdigest(),
        **said,
    }
    (folder / "record.json").write_text(json.dumps(values | {"record_sha256": seal(values)}))
    return folder


def lay(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def every_state(grid: Grid) -> dict[str, str]:
    """Lay runs in every state that files can show; return name -> state."""
    names = [name for name in grid.runs if name in grid.places]
    paths = [RunPaths(grid.tier, grid.places[name]) for name in names]
    finish(grid, names[0])
    finish(grid, names[1])
    paths[1].weights.write_bytes(b"cut")
    lay(paths[2].lock, me().text)
    lay(paths[2].progress, json.dumps({"step": 3, "total": 9, "host": "n1", "pid": 1}))
    lay(paths[3].lock, me().text)
    lay(paths[3].progress, json.dumps({"step": 3, "total": 9, "host": "n1", "pid": 1}))
    os.utime(paths[3].progress, (OLD - 3600, OLD - 3600))
    lay(paths[4].failure, "it broke\n  do this\n")
    lay(paths[5].checkpoint)
    paths[6].work.mkdir(parents=True)
    states = ("done", "damaged", "running", "hangs", "failed", "stopped", "missing", "missing")
    absent = next(name for name in grid.runs if name not in grid.places)
    return dict(zip(names, states, strict=False)) | {absent: "not yet implemented"}


def test_a_survey_says_what_each_run_says(here):
    grid = grid_of(3)
    states = every_state(grid)
    for _ in range(2):  # from the files, then from memory
        found = survey(grid).statuses
        assert {name: found[name].state for name in states} == states
        idle = "minutes"  # of a run that hangs, counted anew
        for name in grid.runs:
            one = run_status(grid, name)
            assert (found[name].state, found[name].failure) == (one.state, one.failure)
            assert idle in one.detail or found[name] == one


def test_blocked_runs_and_those_with_a_record_need_no_data(here):
    grid = grid_of(3)
    Path("params.yaml").write_text(small_params())
    full = load_grid("full")
    name = next(iter(full.runs))
    finish(full, name)
    found = survey(full).statuses
    assert found == {each: run_status(full, each) for each in full.runs}
    assert found[name].state == "done"
    assert {status.state for status in found.values()} >= {"done", "blocked"}
    assert name in full.folders
    assert not grid.lacks(next(iter(grid.places)))


def age_all(folder: Path) -> None:
    """Make the survey believe that the files have settled: only their change time cannot be set back."""
    time.sleep(2.1)
    assert folder.exists()


def test_what_is_remembered_of_a_run_is_dropped_with_any_change_of_its_files(here):
    grid = grid_of(3)
    names = [name for name in grid.runs if name in grid.places][:4]
    folders = [finish(grid, name, seconds=10.0 * place) for place, name in enumerate(names)]
    age_all(here)
    before = survey(grid)
    assert [before.finished[name].seconds for name in names] == [0.0, 10.0, 20.0, 30.0]
    memory = json.loads(Path("results/embedded/finished.json").read_text())
    assert set(memory) == {grid.places[name] for name in names}
    (folders[0] / "history.csv").write_bytes(b"step\n2\n")  # of the same length
    stat = (folders[0] / "history.csv").stat()
    os.utime(folders[0] / "history.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    RunPaths(grid.tier, grid.places[names[1]]).weights.unlink()
    shutil.rmtree(folders[2])
    found = survey(grid)
    assert [found.statuses[name].state for name in names] == ["damaged", "damaged", "missing", "done"]
    assert set(json.loads(Path("results/embedded/finished.json").read_text())) == {grid.places[names[3]]}


@pytest.mark.parametrize("text", ["[broken", "[]", '{"a": 1}', '{"a": [1, 2]}', '{"a": [[[1]], ["x"]]}'])
def test_a_damaged_memory_costs_time_alone(here, text):
    grid = grid_of(3)
    name = next(iter(grid.places))
    finish(grid, name, seconds=5.0)
    lay(Path("results/embedded/finished.json"), text)
    assert survey(grid).finished[name].seconds == 5.0


def test_a_plan_takes_what_was_looked_up_and_looks_at_damaged_runs_again(here, monkeypatch):
    grid = grid_of(3)
    every_state(grid)
    whole, done = make_plan(grid), survey(grid).finished
    slow = SlowFiles(monkeypatch, 0.0)
    found = make_plan(grid, done=done)
    operations = slow.operations
    assert found == whole
    make_plan(grid)
    assert operations < slow.operations - operations


def test_later_looks_leave_finished_runs_alone(here, monkeypatch):
    grid = grid_of(3)
    names = list(grid.places)
    for name in names[:-2]:
        finish(grid, name)
    before = survey(grid)
    finish(grid, names[-2])
    slow = SlowFiles(monkeypatch, 0.0)
    after = survey(grid, before=before)
    assert after.statuses[names[-2]].state == "done"
    assert after.statuses[names[-1]].state == "missing"
    assert slow.operations < 40  # what the new run costs, not those before


def test_operations_for_1600_records_are_few_and_overlap(here, monkeypatch):
    grid = grid_of(RECORDS // 10)
    names = list(grid.places)[:RECORDS]
    for name in names:
        finish(grid, name)
    with monkeypatch.context() as patch:
        patch.setattr("dmix.grid.finished.SETTLED_SECONDS", -1.0)
        assert len(survey(grid).finished) == RECORDS
    slow = SlowFiles(monkeypatch, 0.005)
    start = time.process_time(), time.perf_counter()
    assert len(survey(grid, names).finished) == RECORDS
    cpu, wall = time.process_time() - start[0], time.perf_counter() - start[1]
    # record, history and weights, and the memory; each alone would take 24 s
    assert 3 * RECORDS <= slow.operations <= 3 * RECORDS + 40
    assert slow.most >= 32
    print(
        f"{slow.operations} operations, {slow.most} at a time: {wall:.2f} s, {cpu:.2f} s of them on the CPU"
    )


@pytest.mark.slow
def test_status_of_1600_records_takes_two_seconds_where_an_operation_takes_5_ms(here, monkeypatch, capsys):
    grid = grid_of(RECORDS // 10)
    for name in list(grid.places)[:RECORDS]:
        finish(grid, name)
    age_all(here)
    assert cli.main(["status"]) == 0
    SlowFiles(monkeypatch, 0.005)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert cli.main(["status"]) == 0
        seconds.append(time.perf_counter() - start)
    assert f"{RECORDS} done" in capsys.readouterr().out.replace(",", "")
    assert min(seconds) < 2
