"""The params.yaml of test projects says what the real one says."""

from __future__ import annotations

import pytest
import yaml

from project import ROOT, small_params

SMALL = yaml.safe_load(small_params())
REAL = yaml.safe_load((ROOT / "params.yaml").read_text())
ENTRIES = [
    (section, name)
    for section in ("datasets", "backbones", "recipes", "policies", "objectives", "methods")
    for name in SMALL[section]
    if name != "ghost"
]


@pytest.mark.parametrize(("section", "name"), ENTRIES)
def test_an_entry_is_the_real_one(section, name):
    assert SMALL[section][name] == REAL[section][name]
