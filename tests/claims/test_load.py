"""What is renamed or missing is one error that names the claim, the key and the line; the real file has none."""

import pytest

from conftest import GAIN
from dmix.claims.cells import cells_of
from dmix.claims.load import load_claims
from dmix.claims.measures import MEASURES
from dmix.claims.schema import Tested
from dmix.claims.tested import verdict_of_tests
from dmix.errors import DmixError
from project import ROOT, real_grid

MISTAKES = {
    "a renamed policy": (
        {"cells": {"grids": ["main"], "where": {"policy": ["mixup", "cutmixx"]}}},
        "where.policy",
        "cutmixx",
    ),
    "a renamed objective": (
        {"comparison": {"rel": "greater", **GAIN, "of": {"objective": "dm"}}},
        "of.objective",
        "dm",
    ),
    "a renamed data set": (
        {"cells": {"grids": ["main"], "where": {"dataset": "cifar"}}},
        "where.dataset",
        "cifar",
    ),
    "a renamed backbone": (
        {"cells": {"grids": ["main"], "where": {"backbone": "r18"}}},
        "where.backbone",
        "r18",
    ),
    "a renamed method": (
        {"cells": {"grids": ["main"], "where": {"method": "mixmatch"}}},
        "where.method",
        "mixmatch",
    ),
    "a renamed grid": ({"cells": {"grids": ["main", "gone"]}}, "cells.grids.1", "gone"),
    "an unknown selector": (
        {"cells": {"grids": ["main"], "where": {"policy": {"sort": "static"}}}},
        "where.policy",
        "sort",
    ),
    "a renamed setting": (
        {"cells": {"grids": ["eta"], "where": {"objective.etta": 0.1}}},
        "where.objective.etta",
        "etta",
    ),
    "an unknown axis": (
        {"cells": {"grids": ["eta"], "where": {"polici": "mixup"}}},
        "where.polici",
        "polici",
    ),
    "a value that no grid has": (
        {
            "cells": {"grids": ["eta"]},
            "comparison": {"rel": "argmax", "best": [{"value": {"objective.eta": 0.3}}]},
        },
        "best.0.value.objective.eta",
        "0.3",
    ),
    "a renamed measure": (
        {"comparison": {"rel": "greater", **GAIN, "measure": "top5"}},
        "comparison.measure",
        "top5",
    ),
    "no grid and no reason": ({"cells": {}}, "it", "no grid"),
    "an unknown key": ({"comparison": {"rel": "greater", **GAIN, "magin": 1}}, "magin", "unknown key"),
    "an unknown relation": ({"comparison": {"rel": "equals", **GAIN}}, "comparison", "rel"),
    "ends in the wrong order": (
        {"comparison": {"rel": "within", **GAIN, "lo": 2.0, "hi": 1.0}},
        "comparison",
        "lo must be",
    ),
    "a best of a mean": (
        {"comparison": {"rel": "greater", **GAIN, "against": "best"}},
        "comparison",
        "across",
    ),
}


@pytest.mark.parametrize(("changes", "key", "named"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_error(claims, changes, key, named):
    with pytest.raises(DmixError) as caught:
        claims.load(changes)
    message = str(caught.value)
    assert "claims.yaml:" in message
    assert "claims.it" in message
    assert key in message
    assert named in message


def test_a_renamed_grid_of_matched_runs_is_an_error(claims):
    with pytest.raises(DmixError, match=r"matched_alpha\.0: there is no grid named 'gone'"):
        claims.load({}, matched=["gone"])


def test_a_claim_knows_its_line(claims):
    (claim,) = claims.load({})
    lines = (claims.folder / "claims.yaml").read_text().splitlines()
    assert lines[claim.line - 1].strip() == "it:"


def test_a_missing_file_is_an_error(claims):
    with pytest.raises(DmixError, match="nowhere"):
        load_claims(claims.grids["full"].params, claims.folder / "nowhere.yaml")


@pytest.fixture(scope="module")
def ours():
    return load_claims(real_grid("full").params, ROOT / "reference/claims.yaml")


def test_every_claim_of_the_repository_has_its_runs(ours):
    """At full scale, but for claims of demonstrations at small scale, each with a grid has a cell or more."""
    grids = [real_grid(tier) for tier in ("full", "embedded")]
    judged = [claim for claim in ours if not isinstance(claim.comparison, Tested) and not claim.needs]
    assert len(judged) > 30
    for claim in judged:
        assert any(cells_of(claim, grid) for grid in grids), claim.id


def test_no_pair_of_the_paper_compares_a_run_with_itself(ours):
    grid = real_grid("full")
    for claim in ours:
        for cell in cells_of(claim, grid):
            for contrast in cell.contrasts:
                assert len(set(contrast.cells)) == len(contrast.cells), claim.id
                for names in contrast.runs.values():
                    assert len({grid.runs[name].seed for name in names}) == 1


def test_alpha_changes_in_49_of_the_123_pairs_of_tables_1_to_5(ours):
    """As counted by hand from docs/grid.md; the rest agrees in alpha and is judged once."""
    grid, pairs, alike = real_grid("full"), 0, 0
    for name in (
        *("dm-improves-small-scale", "dm-improves-imagenet", "dm-improves-transformers"),
        *("dm-bce-improves", "dm-improves-finegrained"),
    ):
        (claim,) = (each for each in ours if each.id == name)
        pairs += len(cells_of(claim, grid))
        alike += len(cells_of(claim.model_copy(update={"matched": ()}), grid, one_alpha=True))
    assert (pairs, pairs - alike) == (123, 49)


def test_the_named_tests_exist(ours):
    named = [claim for claim in ours if isinstance(claim.comparison, Tested)]
    assert len(named) > 5
    for claim in named:
        assert verdict_of_tests(claim, claim.comparison, ROOT).word == claim.comparison.shows
    gone = named[0].comparison.model_copy(update={"tests": ("tests/math/test_none.py::test_none",)})
    assert verdict_of_tests(named[0], gone, ROOT).word == "not run"


def test_what_is_needed_is_not_there(ours):
    """A measure that exists, or grids, beside `needs` would be a claim that is wrongly called not run."""
    for claim in ours:
        if claim.needs:
            assert not claim.cells.grids, claim.id
            assert claim.comparison.measure == "top1" or claim.comparison.measure not in MEASURES, claim.id
