from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest

from dmix.grid.expand import Grid, load_grid
from fabricated import everything_present, fabricate, fraction
from project import ROOT

mpl.use("agg")


@pytest.fixture(scope="session")
def smoke() -> Grid:
    return everything_present(load_grid("smoke", ROOT / "params.yaml", every_tier=False))


def shown(grid: Grid) -> list[str]:
    """The runs that any figure shows, each once."""
    return list(dict.fromkeys(name for entry in grid.figures.values() for name in grid.figure_runs(entry)))


@pytest.fixture(scope="session")
def finished(smoke: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of all runs of all figures at tier smoke."""
    root = tmp_path_factory.mktemp("finished")
    fabricate(smoke, root, shown(smoke), rows=2)
    return root


@pytest.fixture(scope="session")
def half(smoke: Grid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of about half of the runs."""
    root = tmp_path_factory.mktemp("half")
    fabricate(smoke, root, [name for name in shown(smoke) if fraction("half", name) < 0.5], rows=2)
    return root
