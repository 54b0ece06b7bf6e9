"""The params.yaml of test projects says what the real one says."""

from __future__ import annotations

import pytest

from dmix.grid.yaml_lines import load
from project import ROOT, real_params

SMALL = load(ROOT / "tests/small_params.yaml").data
REAL = real_params()
ENTRIES = [
    (section, name)
    for section in ("datasets", "backbones", "recipes", "policies", "objectives", "methods")
    for name in SMALL[section]
    if name != "ghost"
]


@pytest.mark.parametrize(("section", "name"), ENTRIES)
def test_an_entry_is_the_real_one(section, name):
    assert SMALL[section][name] == REAL[section][name]
