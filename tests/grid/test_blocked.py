"""Runs whose data or weights are not on this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dmix import cli
from dmix.grid.artefact import frame_digest, table_digest
from dmix.grid.damage import way_to_weights
from dmix.grid.expand import Grid, folder, load_grid
from dmix.grid.paths import RunPaths
from obtaining import table
from project import NO_RULES, ROOT, copy_params, small_params

HERE = "supervised/cifar10/resnet18/mixup/mce/s0"
THERE = "supervised/cifar100/resnet18/mixup/mce/s0"
GHOST = "supervised/cifar10/resnet18/ghost/mce/s0"
LATER = "supervised/cifar10/resnet18/cutmix/dm_ce_released/s0"
CIFAR10, CIFAR100 = "cifar-10-batches-py", "cifar-100-python"
WEIGHTS = "weights/resnet18-f37072fd.pth"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without data, with the small params.yaml and the repository's table of sources."""
    (tmp_path / "params.yaml").write_text(small_params())
    shutil.copytree(ROOT / "reference", tmp_path / "reference")
    shutil.copy(ROOT / "tests/small_claims.yaml", tmp_path / "reference/claims.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def starting(here: Path, init: str) -> Grid:
    """Give params.yaml runs on CIFAR-10 that start from `init`."""
    text = small_params()
    for old, new in (
        ("\npolicies:\n", f'  later: {{base: cifar, init: "{init}"}}\n\npolicies:\n'),
        (
            "\ntables:\n",
            "  later: {method: supervised, recipe: later, dataset: cifar10, backbone: resnet18, "
            "policy: cutmix, objective: dm_ce_released}\n\ntables:\n",
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (here / "params.yaml").write_text(text)
    return full()


def full() -> Grid:
    return load_grid("full")


def bring(here: Path, name: str) -> None:
    """Put a data set in place, or a file of weights."""
    path = here / "data/real" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.touch()
    else:
        path.mkdir()


def finish(here: Path, grid: Grid, name: str) -> None:
    place = here / "results" / grid.tier / "records" / folder(grid.runs[name])
    place.mkdir(parents=True)
    (place / "record.json").write_text("{}")


def test_a_genuine_set_that_is_not_there_blocks_its_runs_alone(here):
    grid = full()
    assert grid.blocked(HERE) == "run dmix data fetch cifar10"
    assert grid.blocked(THERE) == "run dmix data fetch cifar100"
    assert grid.folders == {}
    bring(here, CIFAR10)
    grid = full()
    assert grid.blocked(HERE) is None
    assert grid.blocked(THERE) == "run dmix data fetch cifar100"
    assert set(grid.folders) == {name for name in grid.runs if "/cifar10/" in name and "ghost" not in name}
    assert {grid.name_of(folder) for folder in grid.folders.values()} == set(grid.folders)


def test_a_finished_run_needs_no_data(here):
    finish(here, full(), HERE)
    grid = full()
    assert grid.blocked(HERE) is None
    assert set(grid.folders) == {HERE}
    assert grid.blocked(HERE.replace("/s0", "/s1")) == "run dmix data fetch cifar10"


def test_a_record_of_other_settings_is_no_record(here):
    finish(here, full(), HERE)
    rule = "overrides: [{set: {recipe.lr: 0.3}, why: test}] # ordered"
    (here / "params.yaml").write_text(small_params().replace(NO_RULES, rule))
    assert full().blocked(HERE) == "run dmix data fetch cifar10"


def test_embedded_data_are_never_missing(here):
    for tier in ("embedded", "smoke"):
        grid = load_grid(tier)
        assert {grid.blocked(name) for name in grid.runs} == {None}
        assert set(grid.folders) == {name for name in grid.runs if "ghost" not in name}


def test_a_data_set_that_the_table_does_not_know_is_for_the_user_to_bring(here):
    shutil.rmtree(here / "reference")
    table(here / "reference/datasets.csv", {"url": "https://x.org/cub.tgz", "checksum": "0" * 32})
    way_out = f"put it at data/real/{CIFAR10}, or run dmix data import cifar10 PATH"
    assert full().blocked(HERE) == way_out
    bring(here, CIFAR10)
    assert full().blocked(HERE) is None


def test_what_is_not_implemented_is_not_blocked(here):
    grid = full()
    assert grid.missing(GHOST) == ("dmix/policies/ghost.py",)
    assert grid.blocked(GHOST) is None
    assert GHOST not in grid.folders


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "place", "command"),
    [
        ("cifar10", CIFAR10, "run dmix data fetch cifar10"),
        ("cifar100", CIFAR100, "run dmix data fetch cifar100"),
        ("tiny_imagenet", "tiny-imagenet-200", "run dmix data fetch tiny_imagenet"),
        ("imagenet", "imagenet", "run dmix data import imagenet PATH"),
        ("cub", "CUB_200_2011", "run dmix data fetch cub"),
        ("aircraft", "fgvc-aircraft-2013b", "run dmix data fetch aircraft"),
        ("cars", "stanford_cars", "run dmix data import cars PATH"),
    ],
)
def test_every_data_set_of_the_paper_has_its_command(here, dataset, place, command):
    copy_params(here)
    for name in ("resnet18-f37072fd.pth", "resnet50-0676ba61.pth", "resnext50_32x4d-7cdf4587.pth"):
        bring(here, f"weights/{name}")
    grid = full()
    names = [name for name, spec in grid.runs.items() if spec.axes["dataset"] == dataset]
    assert {grid.blocked(name) for name in names} == {command}
    bring(here, place)
    assert set(full().folders) == set(names)


def test_weights_that_are_not_there_block(here):
    grid = starting(here, WEIGHTS)
    assert grid.blocked(LATER) == "run dmix data fetch cifar10"  # data come first
    bring(here, CIFAR10)
    assert grid.blocked(LATER) == "run dmix data fetch resnet18_weights"
    assert grid.blocked(HERE) is None
    bring(here, WEIGHTS)
    assert grid.blocked(LATER) is None


def test_weights_that_the_table_does_not_know_are_for_the_user_to_bring(here):
    bring(here, CIFAR10)
    grid = starting(here, "weights/mine.pth")
    assert grid.blocked(LATER) == "put mine.pth into data/real/weights"
    bring(here, "weights/mine.pth")
    assert grid.blocked(LATER) is None


def test_what_blocks_a_source_blocks_its_dependants(here):
    source = "supervised/cifar100/resnet18/vanilla/ce/s0"
    bring(here, CIFAR10)
    grid = starting(here, source)
    assert grid.blocked(LATER) == grid.blocked(source) == "run dmix data fetch cifar100"
    assert LATER not in grid.folders
    finish(here, grid, source)
    # Of a finished run whose weights were not pulled, these are what its dependants wait for.
    paths = RunPaths(grid.tier, grid.places[source])
    assert grid.blocked(source) is None
    assert grid.blocked(LATER) == way_to_weights(paths)
    assert f"dvc pull {paths.weights.parent}" in way_to_weights(paths)
    paths.weights.parent.mkdir(parents=True)
    assert grid.blocked(LATER) is None


def test_plan_counts_by_the_command_that_unblocks(here, capsys):
    bring(here, CIFAR10)
    assert cli.main(["plan", "--tier", "full", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Table 1: 2 policies x 2 objectives x 2 networks and the vanilla rows, the ghost aside.
    assert found["blocked"] == {"run dmix data fetch cifar100": (2 * 2 * 2 + 2) * 3}
    lines = {line["table"]: line for line in found["tables"]}
    counts = ("runs", "done", "to_train", "blocked", "unimplemented")
    assert [lines["table1"][key] for key in counts] == [42, 0, 0, 30, 12]
    assert [lines["tableS1"][key] for key in counts] == [21, 0, 15, 0, 6]
    assert [lines["all"][key] for key in counts] == [63, 0, 15, 30, 18]
    assert lines["table1"]["hours"] > 0  # what is to be trained once the data are here
    assert cli.main(["plan", "--tier", "full"]) == 0
    assert "30 blocked: run dmix data fetch cifar100\n" in capsys.readouterr().out


def test_plan_why_leaves_blocked_runs_alone(here, capsys):
    bring(here, CIFAR10)
    assert cli.main(["plan", "--tier", "full", "--why"]) == 0
    out = capsys.readouterr().out
    assert f"  {HERE}: new\n" in out
    assert THERE not in out


def test_status_says_blocked_and_how_to_go_on(here, capsys):
    bring(here, CIFAR10)
    assert cli.main(["status", "--tier", "full", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert tables["table1"][THERE] == {"state": "blocked", "detail": "run dmix data fetch cifar100"}
    assert tables["tableS1"][HERE] == {"state": "missing", "detail": ""}
    assert cli.main(["status", "--tier", "full"]) == 0
    assert "full table1: 0 missing, 30 blocked, 12 not yet implemented of 42\n" in capsys.readouterr().out


def test_train_refuses_with_one_message(here, capsys):
    assert cli.main(["train", HERE, "--tier", "full"]) == 2
    assert capsys.readouterr().err == (
        f"dmix: {HERE} is blocked: what it needs is not on this machine\n  run dmix data fetch cifar10\n"
    )
    assert [path.name for path in (here / "work").rglob("*") if path.is_file()] == ["failure.txt"]
    assert not (here / "results").exists()


def test_resolve_says_it_in_place_of_the_folder(here, capsys):
    assert cli.main(["resolve", HERE, "--tier", "full"]) == 0
    assert "folder: results/full/records/(blocked: run dmix data fetch cifar10)" in capsys.readouterr().out


def test_tables_and_frame_follow_when_data_arrive(here):
    def digests():
        grid = full()
        return {name: table_digest(grid, name) for name in grid.tables}, frame_digest(grid)

    before, before_frame = digests()
    bring(here, CIFAR10)
    after, after_frame = digests()
    assert after["table1"] == before["table1"]
    assert after["tableS1"] != before["tableS1"]
    assert after_frame != before_frame
    assert digests() == (after, after_frame)


def test_what_a_blocked_run_has_saved_is_no_rubbish(here, capsys):
    desk = here / "work/full" / folder(full().runs[HERE])
    desk.mkdir(parents=True)
    (desk / "checkpoint.pt").touch()
    assert cli.main(["gc", "--tier", "full", "--delete"]) == 0
    assert capsys.readouterr().out == ""
    assert (desk / "checkpoint.pt").exists()
