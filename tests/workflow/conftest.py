from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvc_checkouts import alone, with_results
from project import Project
from stores import KINDS, WEIGHTS_BYTES, Store


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A project whose smoke tier is finished. Tests copy it and never change it."""
    project = Project.create(tmp_path_factory.mktemp("trained") / "project", embedded_data)
    done = project.snakemake("--quiet", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture(params=["same checkout", "fresh clone"])
def finished(request: pytest.FixtureRequest, trained: Project, tmp_path: Path) -> Project:
    """A copy of the trained project: with Snakemake's metadata, or as a clone that pulled the results.

    In the clone there is no metadata, no work folder, no data, and files are as old as the copying.
    """
    clone = request.param == "fresh clone"
    shutil.copytree(
        trained.path,
        tmp_path / "project",
        symlinks=True,
        copy_function=shutil.copy if clone else shutil.copy2,
    )
    project = Project(tmp_path / "project")
    if clone:
        shutil.rmtree(project.path / ".snakemake")
        shutil.rmtree(project.path / "work")
        (project.path / "data").unlink()
    return project


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> Project:
    """A checkout whose results dvc.lock names and no store has. Tests copy it and never change it."""
    with pytest.MonkeyPatch.context() as patch:
        path = alone(tmp_path_factory.mktemp("recorded"), patch)
        return with_results(path / "first", embedded_data, WEIGHTS_BYTES)


@pytest.fixture
def first(recorded: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the recorded checkout, for this test alone."""
    alone(tmp_path, monkeypatch)
    shutil.copytree(recorded.path, tmp_path / "first", symlinks=True)
    return Project(tmp_path / "first")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server of S3 or SSH, whose credentials the user has."""
    server = KINDS[request.param](tmp_path / "server")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "server/config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "server/credentials"))
    server.start()
    yield server
    server.kill()
