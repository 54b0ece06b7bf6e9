"""Runs that start from the weights of another run: when it is trained, and when they are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dmix.record import Record, read_record
from project import Project
from streamed import DEPENDANTS, EVERYTHING, NO_RULES, SOURCE, rule, streamed

CUTMIX = "src/dmix/policies/cutmix.py"
RUNS = "results/smoke/records"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A project whose smoke tier is finished, in the place of the one with CIFAR alone."""
    path = tmp_path_factory.mktemp("sources") / "project"
    project = Project.create(path, embedded_data, params=yaml.safe_dump(streamed(), sort_keys=False))
    assert project.planned() == EVERYTHING
    done = project.snakemake("--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def record(project: Project, name: str) -> Record:
    return read_record(project.path / RUNS / project.folder(name) / "record.json")


def missing(project: Project) -> set[str]:
    """Return the names of the runs that a dry run of every record of the tier would train."""
    done = project.snakemake("runs", "-n")
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"(?m)^Job \d+: Train (\S+)$", done.stdout + done.stderr))


def change(project: Project, when: dict[str, Any], settings: dict[str, Any]) -> None:
    project.edit("params.yaml", NO_RULES, f"\noverrides: [{json.dumps(rule(when, settings))}]\n")


def undo(project: Project, trained: Project) -> None:
    shutil.copy(trained.path / "params.yaml", project.path / "params.yaml")


def test_the_source_is_trained_first_and_once(trained: Project):
    source = record(trained, SOURCE)
    assert source.init_sha256 is None
    for name in DEPENDANTS:
        dependant = record(trained, name)
        assert dependant.init_sha256 == source.weights_sha256
        assert dependant.started >= source.finished
    logs = {path: path.read_text() for path in (trained.path / "work/smoke").rglob("log.txt")}
    assert len(logs) == len(EVERYTHING)
    assert {text.count(": top-1 ") for text in logs.values()} == {1}
    again = trained.snakemake("-n")
    assert "Nothing to be done" in again.stdout + again.stderr


def test_what_happens_to_the_source_later_is_no_reason_to_train_a_run_again(finished: Project):
    folder = finished.path / RUNS / finished.folder(SOURCE)
    (folder / "record.json").touch()
    assert missing(finished) == set()
    shutil.rmtree(folder)
    assert missing(finished) == {SOURCE}


def test_a_setting_of_the_source_is_one_of_what_starts_from_it(trained: Project, tmp_path: Path):
    shutil.copytree(trained.path, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project")
    change(project, {"dataset": "imagenet"}, {"recipe.lr": 0.2})
    assert project.planned() == {SOURCE, *DEPENDANTS}
    why = project.dmix("plan", "--tier", "smoke", "--why").stdout
    assert f"  {SOURCE}: recipe.lr: 0.1 -> 0.2\n" in why
    assert all(f"  {name}: source.recipe.lr: 0.1 -> 0.2\n" in why for name in DEPENDANTS)
    undo(project, trained)
    change(project, {"dataset": "cub"}, {"recipe.lr": 0.2})
    assert project.planned() == DEPENDANTS
    undo(project, trained)
    project.edit(CUTMIX, "rng.integers(side, size", "rng.integers(side - 1, size")
    assert project.planned() == {name for name in EVERYTHING if "/cutmix/" in name}
