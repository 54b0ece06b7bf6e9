from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dmix.grid.expand import Grid, load_grid
from project import ROOT, small_params

Edit = Callable[..., Grid]


@pytest.fixture
def expanded(tmp_path: Path) -> Edit:
    """Expand params.yaml, the repository's or the small one, after replacements that must match once."""

    def expand(*edits: tuple[str, str], tier: str = "full", small: bool = False) -> Grid:
        text = small_params() if small else (ROOT / "params.yaml").read_text()
        for old, new in edits:
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        path = tmp_path / "params.yaml"
        path.write_text(text)
        return load_grid(tier, path)

    return expand
