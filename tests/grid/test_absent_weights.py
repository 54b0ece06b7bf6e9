"""A checkout with records alone: its runs are done, and only what needs weights says that they lack."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from dmix import cli
from dmix.errors import DmixError
from dmix.grid.expand import Grid, load_grid
from dmix.grid.finished import refuse_damaged
from dmix.grid.paths import RunPaths
from dmix.grid.status import run_status
from dmix.grid.survey import survey
from fabricated import fabricate
from project import ROOT, small_params

WEIGHTS = Path("results/smoke/weights")


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    (tmp_path / "params.yaml").write_text(small_params())
    (tmp_path / "reference").symlink_to(ROOT / "reference")
    monkeypatch.chdir(tmp_path)
    grid = load_grid("smoke")
    fabricate(grid, Path("results/smoke/records"))
    return grid


def states(grid: Grid) -> list[str]:
    surveyed = survey(grid, grid.places).statuses
    for name in grid.places:
        assert surveyed[name] == run_status(grid, name)
    return [status.state for status in surveyed.values()]


def test_runs_without_weights_are_done(grid, capsys):
    frame = Path("results/smoke/frame.csv")
    assert cli.main(["collect", "--tier", "smoke"]) == 0
    whole = frame.read_bytes()
    shutil.rmtree(WEIGHTS)
    assert set(states(grid)) == {"done"}
    refuse_damaged(grid)
    assert cli.main(["collect", "--tier", "smoke"]) == 0
    assert frame.read_bytes() == whole
    capsys.readouterr()
    assert cli.main(["plan", "--tier", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"][-1]["to_train"] == 0


def test_weights_that_are_lost_or_cut_are_damage_and_absent_ones_are_not(grid):
    first, second, third, *rest = (RunPaths("smoke", place) for place in grid.places.values())
    shutil.rmtree(first.weights.parent)
    second.weights.unlink()
    third.weights.write_bytes(b"cut")
    time.sleep(2.1)  # what has settled is remembered
    for _ in range(2):
        assert states(grid) == ["done", "damaged", "damaged", *["done"] * len(rest)]
    memory = json.loads(Path("results/smoke/finished.json").read_text())
    assert first.folder in memory
    first.weights.parent.mkdir()
    assert states(grid)[0] == "damaged"
    first.weights.write_bytes(b"other")
    assert states(grid)[0] == "damaged"


def test_a_check_says_what_is_not_made_and_what_is_not_here(grid, capsys):
    check = ["plan", "--check", "--tier", "smoke"]
    assert cli.main(check) == 0
    assert capsys.readouterr().out == f"{len(grid.places)} runs of tier smoke: finished and here\n"
    name, place = next(iter(grid.places.items()))
    shutil.rmtree(WEIGHTS / place)
    assert cli.main(check) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"dmix: the weights of 1 runs of tier smoke are not here: {name}, ...\n")
    assert "dvc pull results/smoke/weights" in said
    RunPaths("smoke", place).record.unlink()
    assert cli.main(check) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"dmix: 1 runs that tier smoke asks for now are not done: {name}, ...\n")
    params = Path("params.yaml")
    static = "static: {objective.eta: 0.1, policy.alpha: 0.2}"
    assert params.read_text().count(static) == 1
    params.write_text(params.read_text().replace(static, static.replace("0.1", "0.2")))
    assert cli.main(check) == 1
    concerned = {name, *(each for each in grid.places if "/dm_ce/" in each)}
    told = f"dmix: {len(concerned)} runs that tier smoke asks for now are not done"
    assert capsys.readouterr().err.startswith(told)


def test_folders_of_weights_are_listed_for_dvc(grid, capsys):
    names = [name for name in grid.places if "/cutmix/" in name]
    RunPaths("smoke", grid.places[names[0]]).record.unlink()
    assert cli.main(["runs", "--tier", "smoke", "--policies", "cutmix", "--weights"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{WEIGHTS}/{grid.places[name]}" for name in names[1:]]


def test_a_damaged_run_is_refused_with_both_places(grid):
    paths = RunPaths("smoke", next(iter(grid.places.values())))
    paths.weights.write_bytes(b"cut")
    with pytest.raises(DmixError, match=r"weights\.safetensors was cut or edited") as caught:
        refuse_damaged(grid)
    assert f"dvc pull {paths.results} {paths.weights.parent}; or train it again" in caught.value.way_out
