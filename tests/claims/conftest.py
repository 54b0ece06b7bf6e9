"""A grid of real parts in which every relation of a claim has its runs, and frames of invented scores."""

from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from dmix.claims.judge import judge, judge_all
from dmix.claims.load import load_claims
from dmix.grid.expand import load_grid
from dmix.report.frame import DONE, MISSING
from fabricated import everything_present, fraction
from project import small_params

SIX = ["mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix"]
DYNAMIC = ["puzzlemix", "automix"]
COMMON = {"method": "supervised", "recipe": "cifar", "dataset": "cifar100", "backbone": "resnet18"}
GRIDS = {
    "main": {**COMMON, "policy": [*SIX, *DYNAMIC], "objective": ["mce", "dm_ce"], "vanilla": "ce"},
    "eta": {
        **COMMON,
        "policy": ["mixup", "cutmix", "fmix"],
        "objective": "dm_ce",
        "objective.eta": [0.1, 0.5, 2.0],
    },
    "sizes": {
        **COMMON,
        "policy": ["mixup", "cutmix"],
        "objective": ["mce", "dm_ce"],
        "dataset.train_size": [1000, 2000, 5000],
    },
    "matched": {**COMMON, "policy": ["mixup", "cutmix"], "objective": "mce", "policy.alpha": 0.2},
}
GAIN = {"of": {"objective": "dm_ce"}, "over": {"objective": "mce"}}
CLAIM = {
    "section": "4",
    "kind": "comparison",
    "role": "headline",
    "strength": "always",
    "claim": "DM raises the accuracy.",
    "cells": {"grids": ["main"], "where": {"policy": {"kind": "static"}}},
    "comparison": {"rel": "greater", **GAIN},
    "contradicted_if": "It does not.",
    "paper": {"supports": "holds", "source": "paper", "number": "1 point"},
}


def params_text(grids=GRIDS):
    """Return the small parameters with these grids, and no table."""
    values = yaml.safe_load(small_params())
    seeds = list(range(20))
    values |= {"grids": grids, "tables": {}, "seeds": seeds, "overrides": []}
    values["tiers"]["full"]["seeds"] = seeds
    values["tiers"]["embedded"]["overrides"] = []
    return yaml.safe_dump(values, sort_keys=False)


@pytest.fixture(scope="session")
def grids(tmp_path_factory):
    """Tier -> grid."""
    path = tmp_path_factory.mktemp("claims") / "params.yaml"
    path.write_text(params_text())
    return {
        tier: everything_present(load_grid(tier, path, every_tier=False)) for tier in ("full", "embedded")
    }


def frame_of(grid, score, seeds=3, done=lambda spec: True, seconds=lambda spec: 1.0):
    """Return a frame in which the runs of the first seeds are done, if `done` says so, with these scores."""
    rows = []
    for name, spec in grid.runs.items():
        there = spec.seed < seeds and done(spec)
        rows.append(
            {
                "name": name,
                "state": DONE if there else MISSING,
                "score": score(spec) if there else None,
                "images_per_second": 1 / seconds(spec) if there else None,
                "seconds": 3600.0,
                "device": "cpu",
                "folder": grid.folders[name],
                "weights_sha256": "",
            }
        )
    return pd.DataFrame(rows)


def noise(spec, size=0.05):
    """Return noise of standard deviation `size`, a hash of the run."""
    return size * (fraction("noise", spec.name) - 0.5) * 12**0.5


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

    return SimpleNamespace(load=load, judge=word, judge_all=judge_all, grids=grids, folder=tmp_path)
