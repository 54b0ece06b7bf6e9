"""A record names the commit and the versions that the process had when it started, not those of its end."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dmix.errors import DmixError
from dmix.job import facts, versions
from job.conftest import NAME
from project import Project

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def checkout(folder: Path) -> str:
    (folder / ".gitignore").write_text("/data\n/work/\n/results/\n__pycache__/\n")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "before")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def fresh():
    for noted in (facts.git_state, versions.noted):
        noted.cache_clear()
    yield
    for noted in (facts.git_state, versions.noted):
        noted.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--preload",)], ids=["alone", "forked"])
def test_a_checkout_while_a_run_trains_changes_no_record(project: Project, how):
    commit = checkout(project.path)
    job = project.start("dmix", "train", NAME, "--tier", "smoke", *how)
    deadline = time.monotonic() + 120
    while not list(project.path.glob("work/**/lock")) and time.monotonic() < deadline:
        time.sleep(0.02)
    (project.path / "notes.txt").write_text("later")
    git(project.path, "add", "-A")
    git(project.path, "commit", "-q", "-m", "after")
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said
    (path,) = project.path.glob("results/**/record.json")
    record = json.loads(path.read_text())
    assert (record["git_commit"], record["git_dirty"]) == (commit, False)


def test_an_upgrade_while_a_process_lives_changes_no_version(monkeypatch, fresh):
    facts.note()
    before = facts.versions("scipy")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 99")
    assert facts.versions("scipy") == before
    assert "scipy" not in facts.versions()
    with pytest.raises(DmixError, match=r"installed anew while this job was starting: torch \S+ -> torch 99"):
        facts.note()


@pytest.mark.parametrize(
    "variables", [{}, {"GIT_DIR": "/nowhere", "GIT_WORK_TREE": "/nowhere"}], ids=["", "in a hook"]
)
def test_the_commit_is_that_of_the_source_wherever_the_process_runs(tmp_path, variables):
    """PYTHONPATH may lead to the source of another checkout than that of the parameters."""
    (tmp_path / "code/src").mkdir(parents=True)
    shutil.copytree(facts.PACKAGE, tmp_path / "code/src/dmix", ignore=shutil.ignore_patterns("__pycache__"))
    commit = checkout(tmp_path / "code")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("")
    assert checkout(tmp_path / "elsewhere") != commit
    script = "from dmix.job.facts import git_state; print(*git_state())"
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "code/src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [commit, "False"], done.stderr


def test_source_that_no_checkout_tracks_has_no_commit(tmp_path, monkeypatch, fresh):
    """An installed package lies in some checkout's .venv, which says nothing of its source."""
    package = tmp_path / ".venv/dmix"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / "file").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "without the package")
    monkeypatch.setattr(facts, "PACKAGE", package)
    assert facts.git_state() == (None, None)
