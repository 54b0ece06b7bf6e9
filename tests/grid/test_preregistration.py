"""The grid of the demonstration is the one whose predictions were written down."""

from __future__ import annotations

import copy
import re

from dmix.grid.expand import load_grid
from dmix.grid.spec import digest_of
from project import ROOT

TEXT = (ROOT / "docs" / "preregistration.md").read_text(encoding="utf-8")


def test_the_runs_are_those_that_were_written_down():
    grid = load_grid("embedded", ROOT / "params.yaml", thorough=False)
    runs = [grid.runs[name] for name in grid.grids["dose"]]
    (written,) = re.findall(r"the 32 names and settings: `([0-9a-f]{8})`", TEXT)
    assert len(runs) == 32
    assert digest_of([[spec.name, spec.digest()] for spec in runs]) == written


def test_only_eta_and_the_seed_differ():
    grid = load_grid("embedded", ROOT / "params.yaml", thorough=False)
    kept = set()
    for name in grid.grids["dose"]:
        identity = copy.deepcopy(grid.runs[name].identity())  # seeds share their settings
        found = identity["objective"].pop("eta"), identity.pop("seed")
        kept.add((digest_of(identity), found))
    assert len({digest for digest, _ in kept}) == 1
    assert {found for _, found in kept} == {
        (eta, seed) for eta in (0.0, 0.1, 0.3, 1.0) for seed in range(10, 18)
    }


def test_the_figure_has_the_share_and_the_bound_of_the_predictions():
    figure = load_grid("embedded", ROOT / "params.yaml", thorough=False).figures["figure0"]
    assert figure.settings == {"share": 0.2, "bound": 2.0}
    assert "a share of 0.2" in TEXT
    assert "rises by less than 2 points" in TEXT
