from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dmix.grid.expand import Grid, load_grid
from project import copy_params, real_grid, small_params

Edit = Callable[..., Grid]


@pytest.fixture
def expanded(tmp_path: Path) -> Edit:
    """Expand params.yaml, the repository's or the small one, after replacements that must match once."""

    def expand(
        *edits: tuple[str, str], tier: str = "full", small: bool = False, thorough: bool = True
    ) -> Grid:
        if not edits and not small:
            return real_grid(tier)
        path = tmp_path / "params.yaml"
        if small:
            path.write_text(small_params())
        files = [path] if small else copy_params(tmp_path)
        texts = {file: file.read_text() for file in files}
        for old, new in edits:
            places = [file for file, text in texts.items() for _ in range(text.count(old))]
            assert len(places) == 1, (old, places)
            (place,) = places
            texts[place] = texts[place].replace(old, new)
        for file, text in texts.items():
            file.write_text(text)
        return load_grid(tier, path, thorough=thorough)

    return expand
