"""Tiers with the cells of one tier at the scale of another, those of one GPU, and axes {as: OBJECTIVE}."""

from __future__ import annotations

import re

import pytest

from dmix.errors import DmixError
from dmix.grid.init import source_name
from project import real_grid

SMOKE = "  smoke:\n"
TIERS = """\
  part:
    title: a part
    only: [cifar10, cifar100]
    narrow: {cifar100: {backbone: resnet18, seeds: [1]}}
    overrides: [{when: {}, set: {recipe.lr: 0.3}, why: a test}]
  part_smoke: {title: its smoke test, cells: part, scale: smoke}
"""


def with_tiers(text: str = TIERS) -> tuple[str, str]:
    return SMOKE, f"{text}{SMOKE}"


def cells(grid, name: str) -> set[str]:
    return {grid.runs[run].cell for run in grid.grids[name]}


def test_only_names_the_grids_of_a_tier(expanded):
    grid = expanded(with_tiers(), small=True, tier="part")
    assert list(grid.grids) == ["cifar10", "cifar100"] or list(grid.grids) == ["cifar100", "cifar10"]
    assert {grid.runs[run].axes["backbone"] for run in grid.grids["cifar100"]} == {"resnet18"}
    assert {spec.settings["recipe"]["lr"] for spec in grid.runs.values()} == {0.3}


def test_a_composed_tier_has_the_cells_of_one_and_the_settings_of_the_other(expanded):
    part = expanded(with_tiers(), small=True, tier="part")
    smoke = expanded(with_tiers(), small=True, tier="smoke")
    both = expanded(with_tiers(), small=True, tier="part_smoke")
    assert list(both.grids) == list(part.grids)
    assert both.runs
    for name in both.grids:
        assert cells(both, name) == cells(part, name)
    for name, spec in both.runs.items():
        assert spec.identity() == smoke.runs[name].identity()
    assert both.params.tiers["part_smoke"].note == smoke.params.tiers["smoke"].note


@pytest.mark.parametrize("how", ["only: [cifar100]", "omit: [cifar10, cifar10_vanilla, cifar100_vanilla]"])
def test_a_composed_tier_has_the_grids_of_also_whole(how, expanded):
    tiers = f"""\
  part: {{title: a part, {how}}}
  part_smoke: {{title: its smoke test, cells: part, scale: smoke, also: [cifar10]}}
"""
    smoke = expanded(with_tiers(tiers), small=True, tier="smoke")
    assert "cifar10" not in expanded(with_tiers(tiers), small=True, tier="part").grids
    both = expanded(with_tiers(tiers), small=True, tier="part_smoke")
    assert set(both.grids) == {"cifar10", "cifar100"}
    assert both.grids["cifar10"] == smoke.grids["cifar10"]
    assert both.grids["cifar10"]


WRONG = {
    "omit and only": ("  part: {title: a, omit: [cifar10], only: [cifar100]}\n", "write omit or only"),
    "cells alone": ("  part: {title: a, cells: full}\n", "cells and scale go together"),
    "more than a title": (
        "  part: {title: a, cells: full, scale: smoke, seeds: [0]}\n",
        "with cells and scale, a tier has a title, also and nothing else",
    ),
    "an unknown tier": (
        "  part: {title: a, cells: ful, scale: smoke}\n",
        "part.cells is 'ful': choose of",
    ),
    "a composed one": (
        "  part: {title: a, cells: full, scale: smoke}\n  more: {title: b, cells: full, scale: part}\n",
        "more.scale is 'part': choose of",
    ),
    "also without cells": ("  part: {title: a, also: [cifar10]}\n", "also adds grids to those of `cells`"),
    "an unknown grid beside cells": (
        "  part: {title: a, cells: full, scale: smoke, also: [cifar11]}\n",
        "tiers.part.also: no grid named 'cifar11'",
    ),
    "an unknown grid": ("  part: {title: a, only: [cifar11]}\n", "tiers.part.only: no grid named 'cifar11'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_tier_is_named(case, expanded):
    text, message = WRONG[case]
    with pytest.raises(DmixError, match=re.escape(message)):
        expanded(with_tiers(text), small=True, tier="part")


GRIDS = "\ntables:\n"


def grid_with(alpha: str) -> tuple[str, str]:
    return GRIDS, (
        "  matched: {method: supervised, recipe: cifar, dataset: cifar10, backbone: resnet18, policy: mixup, "
        f"objective: [mce, dm_ce], policy.alpha: {alpha}}}\n{GRIDS}"
    )


def test_an_axis_takes_the_value_of_another_objective(expanded):
    usual = expanded(small=True)
    one, other = (
        usual.runs[f"supervised/cifar10/resnet18/mixup/{loss}/s0"].settings["policy"]["alpha"]
        for loss in ("mce", "dm_ce")
    )
    assert one != other
    grid = expanded(grid_with("[{as: mce}, {as: dm_ce}]"), small=True)
    base = "supervised/cifar10/resnet18/mixup"
    assert {name for name in grid.grids["matched"] if name.endswith("/s0")} == {
        *(f"{base}/mce/s0", f"{base}/mce/alpha={other}/s0"),
        *(f"{base}/dm_ce/s0", f"{base}/dm_ce/alpha={one}/s0"),
    }
    assert grid.runs[f"{base}/mce/alpha={other}/s0"].settings["policy"]["alpha"] == other
    assert len(grid.grids["matched"]) == len(set(grid.grids["matched"]))


@pytest.mark.parametrize("value", ["{as: mcee}", "{of: mce}", "[{as: mce, also: ce}]"])
def test_what_is_no_objective_is_refused(value, expanded):
    with pytest.raises(DmixError, match=r"grids\.matched\.policy\.alpha: .* names no objective"):
        expanded(grid_with(value), small=True)


def test_a_setting_that_the_other_objective_lacks_is_refused(expanded):
    edit = grid_with("1.0")
    edit = (edit[0], edit[1].replace("policy.alpha: 1.0", "objective.eta: {as: mce}"))
    with pytest.raises(DmixError, match=r"with mce the cell .* has no objective\.eta"):
        expanded(edit, small=True)


# ------------------------------------------------------------------ the tiers of one GPU
def test_an_hour_is_a_part_of_a_day():
    day, hour = real_grid("day"), real_grid("hour")
    assert hour.runs
    for name, spec in hour.runs.items():
        assert day.runs[name].identity() == spec.identity()
    assert {spec.seed for spec in hour.runs.values()} == {0}
    assert {name for name in hour.grids if set(hour.grids[name]) - set(day.grids[name])} == set()


def test_the_cells_of_an_hour():
    assert {
        spec.cell.removeprefix("supervised/cifar100/resnet18/") for spec in real_grid("hour").runs.values()
    } == {
        *("vanilla/ce", "mixup/mce", "mixup/dm_ce", "cutmix/mce", "cutmix/dm_ce", "mixup/mce/alpha=0.2"),
    }


def test_the_cells_of_a_day():
    """Runs of one seed, by hand: policies x objectives and so on."""
    day = real_grid("day")
    assert {spec.seed for spec in day.runs.values()} == {0, 1, 2}
    expected = {
        "cifar100": 1 + 9 * 2, "alpha_of_dm_cifar100": 9 * 2, "cifar100_binary": 2 * 3,
        "share_cifar100": 2 * 2 * 3, "share_cifar100_whole": 2 * 2, "finegrained": 4 * 2,
        "strategy_bare": 1, "strategy_mce": 3, "strategy_dm": 1,
        "transfer": 4, "transfer_mixup": 1, "transfer_dm": 3,
        "reduced_cifar10": 3, "reduced_cifar10_mixup": 1, "reduced_cifar10_dm": 2, "few_cifar10": 2,
    }  # fmt: skip
    assert {name: len(runs) for name, runs in day.grids.items()} == {
        name: 3 * runs for name, runs in expected.items()
    }


def test_a_day_is_shorter_and_in_bfloat16_and_else_as_the_full_tier():
    day, full = real_grid("day"), real_grid("full")
    compared = 0
    for name, spec in day.runs.items():
        assert spec.settings["recipe"]["precision"] == "bf16", name
        assert spec.settings["dataset"]["edition"] == "real"
        if name not in full.runs:
            continue
        other = full.runs[name]
        differing = {
            f"{section}.{key}"
            for section, values in spec.settings.items()
            for key in values
            if values[key] != other.settings[section][key]
        }
        shorter = {"recipe.epochs"} if spec.axes["dataset"] == "cifar100" else set()
        assert differing == {"recipe.precision"} | shorter, name
        compared += 1
    assert compared == len(day.runs) - 3 * (6 + 2)  # binary losses, and 40 labels in fewer steps


def test_the_smoke_tests_have_the_cells_of_their_tiers():
    def cells_of(name):
        return {
            re.sub(r"/(count|steps|percent)=\d+", "", spec.cell) for spec in real_grid(name).runs.values()
        }

    pretraining = "supervised/imagenet/"  # small tiers train the weights that they start from
    for tier in ("day", "hour"):
        found = {cell for cell in cells_of(f"{tier}_smoke") if not cell.startswith(pretraining)}
        assert found == cells_of(tier)


@pytest.mark.parametrize("tier", ["day_smoke", "hour_smoke"])
def test_no_run_of_a_smoke_test_waits_for_weights_that_it_leaves_out(tier):
    grid = real_grid(tier)
    waiting = {name: source_name(spec) for name, spec in grid.runs.items() if source_name(spec)}
    assert bool(waiting) == (tier == "day_smoke")
    for name, source in waiting.items():
        assert grid.runs[name].source is grid.runs[source], name


def test_what_stands_beside_table_1_has_its_length():
    settings = {
        tier: real_grid(tier).params.tables["table1"].reported.settings
        for tier in ("full", "day", "hour", "smoke")
    }
    assert settings == {
        "full": ("epochs=800", "epochs=400"),
        "day": ("epochs=200",),
        "hour": ("epochs=200",),
        "smoke": ("epochs=800", "epochs=400"),
    }
