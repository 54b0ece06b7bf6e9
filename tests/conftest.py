from __future__ import annotations

from pathlib import Path

import pytest

from dmix.data.embedded.editions import embed
from project import Project


@pytest.fixture(scope="session")
def embedded_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that ship with dmix, written once for all tests of a worker."""
    root = tmp_path_factory.mktemp("data")
    embed(root)
    return root


@pytest.fixture
def project(tmp_path: Path, embedded_data: Path) -> Project:
    return Project.create(tmp_path / "project", embedded_data)
