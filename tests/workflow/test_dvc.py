"""DVC around the workflow: what it keeps, and that a second checkout needs nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from project import POLICIES, ROOT, Project

KEPT = ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore")
DM_CE = "static: {objective.eta: 0.1, policy.alpha: 0.2}"


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for checkouts whose commands neither read nor write the user's DVC and git settings."""
    for variable in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "private" / variable))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    return tmp_path


def checkout(path: Path) -> Project:
    """A git checkout of this repository whose smoke tier is kept and has few runs."""
    project = Project.create(path)
    for name in KEPT:
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    project.edit("dvc.yaml", "keep: [embedded]", "keep: [smoke]")
    params = path / "params.yaml"
    params.write_text(params.read_text().replace(POLICIES, "policy: cutmix"))
    git(project, "init", "--quiet")
    commit(project)
    return project


def git(project: Project, *arguments: str) -> str:
    return output(project.run("git", *arguments))


def dvc(project: Project, *arguments: str) -> str:
    return output(project.run("dvc", *arguments))


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(project: Project) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "test")


def files(project: Project, folder: str) -> dict[str, bytes]:
    root = project.path / folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def ages(project: Project) -> dict[Path, int]:
    runs = project.path / "results/smoke/records"
    return {path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file()}


def trained(project: Project) -> set[str]:
    """The names of the runs that the checkout itself has trained: each leaves a log."""
    logs = (project.path / "work/smoke").rglob("log.txt")
    return {
        re.sub(r"-\w{8}-\w{8}$", "", str(log.parent.relative_to(project.path / "work/smoke"))) for log in logs
    }


@pytest.mark.slow
def test_a_second_checkout_pulls_the_records_and_renders_the_same_tables(private: Path):
    first = checkout(private / "first")
    dvc(first, "repro")
    everything = trained(first)
    assert git(first, "status", "--porcelain").split() == ["??", "dvc.lock"]
    assert "up to date" in dvc(first, "repro")
    commit(first)
    dvc(first, "push")

    # What is kept is every file of the runs and nothing else, least of all resume state.
    records = files(first, "results/smoke/records")
    store = files(first, "../dmix-store")
    listings = {name for name in store if name.endswith(".dir")}
    assert len(listings) == 1
    assert {text for name, text in store.items() if name not in listings} == set(records.values())
    assert "work/" not in (first.path / "dvc.lock").read_text()

    # The second checkout has no data, no resume state and no memory of the workflow's.
    git(first, "clone", "--quiet", ".", "../second")
    second = Project(private / "second")
    assert not (second.path / "results/smoke").exists()
    dvc(second, "pull")
    assert files(second, "results/smoke/records") == records
    assert not (second.path / "data").exists()
    assert second.planned() == set()
    before = ages(second)
    dvc(second, "repro")
    assert ages(second) == before
    assert trained(second) == set()
    tables = files(first, "paper_tables/smoke")
    assert {"table1.tex", "tableS1.tex"} <= set(tables)
    assert files(second, "paper_tables/smoke") == tables
    frame = "results/smoke/frame.csv"
    assert (second.path / frame).read_bytes() == (first.path / frame).read_bytes()
    assert git(second, "status", "--porcelain") == ""  # dvc.lock names the same bytes

    # One eta there: the runs concerned, beside the records that were pulled.
    second.edit("params.yaml", DM_CE, DM_CE.replace("0.1", "0.2"))
    concerned = {name for name in everything if name.endswith("/cutmix/dm_ce/s0")}
    dvc(second, "repro", "train@smoke")
    assert trained(second) == concerned
    assert 0 < len(concerned) < len(everything)
    assert {path: age for path, age in ages(second).items() if path in before} == before


def outs() -> Iterator[tuple[str, str, dict[str, bool]]]:
    """Stage, path and options of each out of dvc.yaml."""
    for name, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items():
        for out in entry.get("do", entry)["outs"]:
            for path, options in out.items():
                yield name, path, options


def test_no_stage_deletes_what_it_finds():
    assert {stage: options["persist"] for stage, _, options in outs()} == dict.fromkeys(
        ("data", "train", "tables", "publish"), True
    )


def test_only_the_runs_go_to_the_cache():
    assert [path for _, path, options in outs() if options.get("cache", True)] == ["results/${item}/runs"]


def test_no_argument_means_the_embedded_tier():
    assert yaml.safe_load((ROOT / "dvc.yaml").read_text())["vars"][0]["keep"] == ["embedded"]


def test_the_committed_store_is_a_folder_beside_the_checkout():
    config = ConfigParser()
    config.read_string((ROOT / ".dvc/config").read_text())
    assert config["core"]["remote"] == "store"
    assert config["core"].getboolean("analytics") is False
    url = config["'remote \"store\"'"]["url"]
    assert (ROOT / ".dvc" / url).resolve().parent == ROOT.parent
    copied = {kind.strip('" ') for kind in config["cache"]["type"].split(",")}
    assert copied <= {"reflink", "copy"}  # a link would let a job write through into the cache
