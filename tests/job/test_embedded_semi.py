"""On scikit-learn's digits with two labels a class, FixMatch is far above the labels alone."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.grid.expand import load_grid
from project import ROOT

GRID = load_grid("embedded", ROOT / "params.yaml")
CELL = "semi/{}/cifar10/wrn28_2/vanilla/ce/count=20/s0"
SEEDS = (0, 1)  # the tier has the first


def best(method, seed, data):
    spec = dataclasses.replace(GRID.runs[CELL.format(method)], seed=seed)
    trainer = assemble(spec, load_dataset(spec, data), choose_device("cpu"))
    assert trainer.run(lambda _: True)
    return max(row["top1_clean"] for row in trainer.history)


@pytest.mark.slow
def test_fixmatch_beats_the_labels_alone_by_far_more_than_seeds_differ(embedded_data):
    found = {
        method: [best(method, seed, embedded_data) for seed in SEEDS]
        for method in ("supervised_only", "fixmatch")
    }
    margins = [
        ours - theirs for ours, theirs in zip(found["fixmatch"], found["supervised_only"], strict=True)
    ]
    spread = max(statistics.stdev(scores) for scores in found.values())
    assert min(margins) > 3, found
    assert statistics.mean(margins) > 4 * spread, found
