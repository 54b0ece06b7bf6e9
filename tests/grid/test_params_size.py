"""Parameter files are short enough to be read."""

from __future__ import annotations

import pytest

from project import ROOT

FILES = [ROOT / "params.yaml", *sorted((ROOT / "params").rglob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_parameter_file_is_long_or_wide(file):
    lines = file.read_text().splitlines()
    assert len(lines) <= 350
    assert [line for line in lines if len(line) > 120] == []
