"""A whole workflow: blocked runs are stated first, runs start in order, each is told by name and score."""

from __future__ import annotations

import re

import pytest
import yaml

from dmix.grid.expand import load_grid
from dmix.grid.order import ranks
from project import Project, small_params

pytestmark = pytest.mark.slow
QUIET = ("snakemake", "--profile", "workflows/profiles/local", "--cores", "1", "--quiet", "rules")
SMOKE = ("--config", "tier=smoke")
BLOCKED = "dmix: blocked: 1 of 13 runs of tier smoke: put resnet18.pth into data/real/weights"


@pytest.fixture(scope="module")
def project(tmp_path_factory, embedded_data) -> Project:
    """Five cells of CIFAR-10 with two seeds; vanilla has one and lacks its initial weights."""
    params = yaml.safe_load(small_params())
    smoke = params["tiers"]["smoke"]
    smoke |= {"seeds": [0, 1], "omit": ["cifar100", "cifar100_vanilla"]}
    smoke["narrow"] = {"cifar10_vanilla": {"seeds": [0]}}
    weights = {"recipe.init": "weights/resnet18.pth"}
    smoke["overrides"] = [{"when": {"policy": "vanilla"}, "set": weights, "why": "test"}]
    folder = tmp_path_factory.mktemp("watching") / "project"
    return Project.create(folder, embedded_data, yaml.safe_dump(params, sort_keys=False))


def test_a_dry_run_states_what_is_blocked(project: Project):
    done = project.snakemake("-n")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines().count(BLOCKED) == 1


def test_runs_start_by_seed_and_are_told_by_name_and_score(project: Project, monkeypatch):
    done = project.run(*QUIET, *SMOKE, "tensorboard=work/board of runs")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (done.stderr + done.stdout).splitlines()
    assert lines.count(BLOCKED) == 1
    line = re.compile(r"(\S+): top-1 \d+\.\d\d %, (\d+) of 8 runs")
    told = [found for found in map(line.fullmatch, lines) if found]
    monkeypatch.chdir(project.path)
    grid = load_grid("smoke")
    order = sorted(grid.folders, key=ranks(grid).__getitem__)
    assert [match[1] for match in told] == order
    assert [grid.runs[name].seed for name in order] == [0] * 4 + [1] * 4
    assert [match[2] for match in told] == [str(number) for number in range(1, 9)]
    assert lines.index(BLOCKED) < lines.index(told[0][0])
    assert not any("jobid" in line and "(Rule: train)" in line for line in lines)
    for name in order:
        assert list((project.path / "work/board of runs" / name).glob("events.out.tfevents.*"))


def test_on_a_terminal_too_and_only_what_is_left(project: Project):
    name = "supervised/cifar10/resnet18/cutmix/mce/s1"
    (project.path / "results/smoke/records" / project.folder(name) / "record.json").unlink()
    done = project.run("snakemake", "runs", *QUIET[1:3], "--logger", "rich", *SMOKE)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = " ".join((done.stderr + done.stdout).split())  # rich wraps lines
    assert re.search(rf"{name}: top-1 \d+\.\d\d %, 1 of 1 runs", shown)
