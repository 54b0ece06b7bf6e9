from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from project import Project


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
