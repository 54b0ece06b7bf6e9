from __future__ import annotations

import pytest

from project import Project

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
