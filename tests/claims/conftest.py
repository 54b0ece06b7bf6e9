"""The grid of the tests, and the means to judge claims on it."""

from types import SimpleNamespace

import pytest
import yaml

from claimed import CLAIM, frame_of, params_text
from dmix.claims.judge import judge
from dmix.claims.load import load_claims
from dmix.grid.expand import load_grid
from fabricated import everything_present


@pytest.fixture(scope="session")
def grids(tmp_path_factory):
    """Tier -> grid."""
    path = tmp_path_factory.mktemp("claims") / "params.yaml"
    path.write_text(params_text())
    return {tier: everything_present(load_grid(tier, path, thorough=False)) for tier in ("full", "embedded")}


@pytest.fixture
def claims(grids, tmp_path):
    """Judges claims that a test writes, by scores that it invents."""

    def load(changes, more=None, matched=(), tier="full"):
        path = tmp_path / "claims.yaml"
        entries = {"it": {**CLAIM, **changes}, **(more or {})}
        path.write_text(yaml.safe_dump({"matched_alpha": list(matched), "claims": entries}, sort_keys=False))
        return load_claims(grids[tier].params, path)

    def word(comparison, score, *, tier="full", cells=None, kind="comparison", matched=(), **frame):
        changes = {"comparison": comparison, "kind": kind, **({"cells": cells} if cells else {})}
        (claim,) = load(changes, matched=matched)
        return judge(claim, grids[tier], frame_of(grids[tier], score, **frame), tmp_path)

    return SimpleNamespace(load=load, judge=word, grids=grids, folder=tmp_path)
