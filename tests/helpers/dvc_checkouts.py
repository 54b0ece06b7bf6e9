"""Git checkouts of this repository with DVC, in which tests push, pull and break."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from dmix.grid.expand import load_grid
from dmix.grid.paths import RECORD, WEIGHTS
from dmix.record import read_record
from fabricated import fabricate
from project import POLICIES, ROOT, Project

KEPT = (
    "dvc.yaml",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots/curves.json",
)


def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep commands from the user's settings of DVC and git; return the folder."""
    for variable in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "private" / variable))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for variable in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(variable, os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    return tmp_path


def checkout(path: Path, tier: str = "smoke", *, whole: bool = False) -> Project:
    """A git checkout of this repository in which a tier is kept: a few runs of it, or the whole one."""
    project = Project.create(path, params=(ROOT / "params.yaml").read_text() if whole else None)
    for name in KEPT:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    project.edit("dvc.yaml", "keep: [embedded]", f"keep: [{tier}]")
    if not whole:
        params = path / "params.yaml"
        params.write_text(params.read_text().replace(POLICIES, "policy: cutmix"))
    git(project, "init", "--quiet")
    commit(project)
    return project


def git(project: Project, *arguments: str) -> str:
    return output(project.run("git", *arguments))


def dvc(project: Project, *arguments: str) -> str:
    return output(project.run("dvc", *arguments, timeout=1200))


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit(project: Project) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "test")


def files(project: Project, folder: str) -> dict[str, bytes]:
    root = project.path / folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def with_results(path: Path, data: Path, size: int) -> Project:
    """A checkout whose smoke tier is finished, with invented scores, and recorded in a committed dvc.lock.

    Parameters
    ----------
    data: the folder of the embedded data. size: of the weights of each run, in bytes; no two are equal.
    """
    project = checkout(path)
    shutil.copytree(data, path / "data")
    records, weights = (path / "results/smoke" / kind for kind in ("records", "weights"))
    with chdir(path):  # whose reference/equivalent.csv counts
        grid = load_grid("smoke")
        fabricate(grid, records)
    for name, place in grid.places.items():
        content = hashlib.shake_128(name.encode()).digest(size)
        (weights / place / WEIGHTS).write_bytes(content)
        record = read_record(records / place / RECORD)
        digest = hashlib.sha256(content).hexdigest()
        record.model_copy(update={"weights_sha256": digest}).write(records / place / RECORD)
    dvc(project, "commit", "--force", "train@smoke")
    commit(project)
    return project


def clone(project: Project, path: Path) -> Project:
    """A fresh clone, which has the settings of DVC that are committed and the local ones of the user."""
    git(project, "clone", "--quiet", ".", str(path))
    local = project.path / ".dvc/config.local"
    if local.exists():
        shutil.copy(local, path / ".dvc")
    return Project(path)


def served(project: Project, path: Path) -> str:
    """Return a bare clone of a checkout: all that a git server has, with neither results nor a cache."""
    git(project, "clone", "--quiet", "--bare", ".", str(path))
    return str(path)


def cached(project: Project, path: str) -> Path:
    """Return where DVC's cache has the file of a checkout."""
    digest = hashlib.md5((project.path / path).read_bytes()).hexdigest()
    return project.path / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
