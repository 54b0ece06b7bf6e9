"""A grid of real parts in which every relation of a claim has its runs, and frames of invented scores."""

import pandas as pd
import yaml

from dmix.report.frame import DONE, MISSING
from fabricated import fraction
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
