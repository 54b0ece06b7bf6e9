from __future__ import annotations

import pytest

from project import Project

NAME = "supervised/cifar10/resnet18/cutmix/dm_ce/s0"


def lengthen(project: Project) -> None:
    """Give the smoke runs some hundred steps."""
    project.edit(
        "params.yaml",
        "{recipe.batch_size: 250, recipe.epochs: 2}",
        "{recipe.batch_size: 50, recipe.epochs: 12}",
    )


@pytest.fixture
def long_project(project: Project) -> Project:
    lengthen(project)
    return project
