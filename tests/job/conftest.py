from __future__ import annotations

from pathlib import Path

import pytest

from dmix.grid.expand import load_grid
from dmix.grid.paths import RunPaths
from dmix.job.class_relation import relate
from dmix.job.options import Options
from dmix.job.train import train
from every_task import RUNS, SOURCE
from project import ROOT, Project

NAME = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"


def lengthen(project: Project) -> None:
    """Give the smoke runs some hundred steps."""
    project.edit(
        "params.yaml",
        "smoke: {epochs: 2, batch_size: 250}",
        "smoke: {epochs: 12, batch_size: 50}",
    )


@pytest.fixture
def long_project(project: Project) -> Project:
    lengthen(project)
    return project


@pytest.fixture(scope="session")
def every_task(tmp_path_factory: pytest.TempPathFactory, embedded_data: Path) -> dict[str, Path]:
    """Name -> folder of a finished run of each task, in a project with the repository's parameters."""
    text = (ROOT / "params.yaml").read_text()
    project = Project.create(tmp_path_factory.mktemp("every_task") / "project", embedded_data, text)
    cpu = Options("cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.path)
        grid = load_grid("smoke", thorough=False)
        assert train(grid, SOURCE, cpu) == 0
        for name in RUNS:
            if (relation := grid.runs[name].relation) is not None:
                assert relate(grid, relation.name, cpu) == 0
            assert train(grid, name, cpu) == 0
        return {name: project.path / RunPaths("smoke", grid.folders[name]).results for name in RUNS}
