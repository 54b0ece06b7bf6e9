"""Missing evidence decides nothing and crashes nothing; small tiers judge mechanisms; advice names runs."""

import pandas as pd
import pytest

from conftest import CLAIM, GAIN, frame_of, noise
from dmix.claims.judge import judge, judge_all
from dmix.report.frame import INVALID

GREATER = {"rel": "greater", **GAIN}


def score(spec):
    return 70.0 + (spec.axes["objective"] == "dm_ce") + noise(spec)


@pytest.mark.parametrize("across", ["mean", "all", "most", "some"])
def test_without_records_nothing_is_run(claims, across):
    found = claims.judge({**GREATER, "across": across}, score, seeds=0)
    assert (found.word, found.effect, found.hours, found.n) == ("not run", None, 0.0, 0)
    assert len(found.deciding) == 6 * 2 * 20  # every seed of the tier
    assert {cell.word for cell in found.cells} == {"not run"}


def test_one_seed_decides_nothing(claims):
    seeds = claims.grids["full"].params.seeds
    found = claims.judge(GREATER, score, seeds=1)
    assert (found.word, found.n, found.low) == ("undecided", 1, None)
    assert len(found.deciding) == 6 * 2 * (len(seeds) - 1)


def test_a_seed_without_a_cell_is_left_out_of_the_mean(claims):
    def done(spec):
        return not (spec.axes["policy"] == "fmix" and spec.seed == 2)

    found = claims.judge(GREATER, score, seeds=4, done=done)
    assert (found.word, found.n) == ("supported", 3)
    assert [cell.n for cell in found.cells] == [4, 4, 4, 4, 3, 4]


def test_a_cell_without_runs_hides_the_mean_and_all_but_not_most(claims):
    def done(spec):
        return spec.axes["policy"] != "fmix"

    words = {
        across: claims.judge({**GREATER, "across": across}, score, seeds=5, done=done).word
        for across in ("mean", "all", "most", "some")
    }
    assert words == {"mean": "not run", "all": "undecided", "most": "supported", "some": "supported"}


def test_one_cell_contradicts_all_though_another_is_missing(claims):
    def losing(spec):
        return score(spec) - 5 * (spec.axes["policy"] == "mixup" and spec.axes["objective"] == "dm_ce")

    found = claims.judge(
        {**GREATER, "across": "all"}, losing, seeds=5, done=lambda spec: spec.axes["policy"] != "fmix"
    )
    assert found.word == "contradicted"


def test_invalid_records_count_as_missing(claims):
    grid = claims.grids["full"]
    frame = frame_of(grid, score)
    frame["state"] = INVALID
    (claim,) = claims.load({})
    assert judge(claim, grid, frame).word == "not run"


def test_equal_scores_of_a_small_test_set_are_no_certainty(claims):
    """Two seeds with the same difference of one test image: what rounding makes is no spread of zero."""
    where = {"grids": ["main"], "where": {"policy": "cutmix"}}
    grid = claims.grids["full"]
    one_image = 100 / next(iter(grid.runs.values())).settings["dataset"]["test_size"]
    found = claims.judge(
        GREATER,
        lambda spec: 70.0 + one_image * (spec.axes["objective"] == "dm_ce"),
        cells=where,
        seeds=2,
    )
    assert found.low < 0 < found.high


@pytest.mark.parametrize(("kind", "word"), [("comparison", "not run"), ("mechanism", "supported")])
def test_small_tiers_judge_mechanisms_alone(claims, kind, word):
    found = claims.judge(
        GREATER,
        lambda spec: score(spec) + 10 * (spec.axes["objective"] == "dm_ce"),
        tier="embedded",
        kind=kind,
    )
    assert found.word == word
    assert ("not run at this scale" in found.reason) == (kind == "comparison")
    assert ("on embedded data" in found.reason) == (kind == "mechanism")
    assert found.low is not None


def test_a_claim_that_needs_what_does_not_exist_says_so(claims):
    (claim,) = claims.load({"needs": "a grid over epochs", "cells": {}})
    found = judge(claim, claims.grids["full"], pd.DataFrame(frame_of(claims.grids["full"], score)))
    assert (found.word, found.reason) == ("not run", "needs a grid over epochs")


def test_advice_names_the_next_seeds(claims):
    """All seeds of the tier are run, and the mean is not decided: the advice is of seeds to come."""

    def shifted(by):
        return lambda spec: 70 + by * (spec.axes["objective"] == "dm_ce") + noise(spec, 2.4)

    found = claims.judge(
        GREATER, shifted(0.5 - claims.judge(GREATER, shifted(0.0), seeds=20).effect), seeds=20
    )
    assert found.effect == pytest.approx(0.5)
    assert found.word == "undecided"
    assert found.seeds is not None
    first = len(claims.grids["full"].params.seeds)
    assert len(found.deciding) == 6 * 2 * found.seeds
    assert {int(name.rpartition("/s")[2]) for name in found.deciding} == set(
        range(first, first + found.seeds)
    )
    assert f"about {found.seeds} more seed" in found.reason


def test_holm_counts_the_headline_claims(claims, monkeypatch):
    """Of two supported headline claims the surer one stays so, among forty that have no evidence."""
    grid = claims.grids["full"]
    others = {f"claim{i}": {**CLAIM, "needs": "x", "cells": {}} for i in range(40)}
    sure, weak = ({"cells": {"grids": ["main"], "where": {"policy": policy}}} for policy in ("fmix", "mixup"))
    loaded = claims.load(sure, {**others, "weak": {**CLAIM, **weak}})
    monkeypatch.setattr("dmix.claims.judge.load_claims", lambda params, path: loaded)

    def uneven(spec):
        return score(spec) + noise(spec, 0.3) * (spec.axes["policy"] == "mixup")

    found = {verdict.claim.id: verdict for verdict in judge_all(grid, frame_of(grid, uneven, seeds=6))}
    assert {found[name].word for name in ("it", "weak")} == {"supported"}
    assert found["it"].p < 0.025 / 42 < found["weak"].p
    assert found["it"].survives
    assert not found["weak"].survives
