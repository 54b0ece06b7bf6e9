"""The grid is the product of its lists; settings come from where the file says."""

from __future__ import annotations

import json
from pathlib import Path

from dmix.grid.checked import RECIPE_NEUTRAL
from dmix.grid.spec import RunSpec, canonical_json
from paper import paper
from project import NO_RULES, POLICIES

ROW = "supervised/cifar100/resnet18"


def test_counts_are_those_of_the_paper():
    grid = paper("full")
    counts = {name: len(grid.table_runs(table)) for name, table in grid.tables.items()}
    assert counts == {
        "table1": (9 * 2 * 4 + 4) * 3,  # policies x objectives x (data set, backbone), and vanilla
        "table2": (9 * 2 * 3 + 3) * 3,
        "table3": (9 * 2 * 2 + 2) * 3,  # eight policies and the recipe's own
        "table4": 10 * 3 * 3,  # nine policies and the recipe's own, three binary objectives
        "table5": 8 * 2 * 4 * 3,
        "table6": 8 * 3 * 3 * 3,  # methods x data sets x shares of labels
        "table7": 10 * 5 * 3,  # methods x numbers of labels of either data set
        "table8": (3 * 2 + 1) * 3 * 3,  # rules x losses and the method alone, x shares of labels
        "tableS1": (9 * 2 + 1) * 2 * 3,
        "tableS2": 6 * 3 * 2 * 3,
        "tableS3": 4 * 5 * 3,  # policies x eta
        "tableS4": 2 * 8 * 3,  # policies x (t, xi)
        "tableS5": 2 * 8 * 3,
        "tableS6": 4 * 5 * 3 * 3,
        "tableS7": 2 * 3 * 3 * 2 * 3,  # methods x data sets x shares of labels, with unlabelled images or not
        "tableS8": 6 * 3 * 3,
    }
    assert len(grid.runs) == len(set(grid.runs)) == 1749
    # A setting at the value that the cell has anyway is no cell of its own: S3 shares four with Table 2, S6
    # eleven with Tables 1 and 5 (which has no PuzzleMix), S4 and S5 four settings of each policy, and half
    # of S7 is Table 6's.
    shared = sum(counts.values()) - len(grid.runs)
    assert shared == 6 * 2 * 2 * 3 + (4 + 11 + 4 * 2) * 3 + 2 * 3 * 3 * 3


def test_name_reads_like_a_sentence(expanded):
    assert f"{ROW}/mixup/dm_ce/s0" in expanded().runs


def test_the_papers_defaults_by_kind(expanded):
    grid = expanded()

    def values(policy, objective):
        settings = grid.runs[f"{ROW}/{policy}/{objective}/s0"].settings
        return settings["policy"]["alpha"], settings["objective"].get("eta")

    # A.3: eta 0.1 static, 1 dynamic; alpha 0.2 and 2 "when using the proposed DM"; MCE keeps its own alpha.
    static = ["mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix"]
    assert {values(policy, "dm_ce") for policy in static} == {(0.2, 0.1)}
    assert {values(policy, "dm_ce") for policy in ("puzzlemix", "automix", "samix")} == {(2.0, 1.0)}
    mce = [values(policy, "mce")[0] for policy in [*static, "puzzlemix", "automix", "samix"]]
    assert mce == [1.0, 0.2, 2.0, 0.2, 0.2, 1.0, 1.0, 2.0, 2.0]


def test_last_matching_override_wins_and_is_named(expanded):
    rules = (
        "overrides: [{set: {recipe.lr: 0.5}, why: first}, "
        "{when: {policy: [cutmix], dataset: cifar10}, set: {recipe.lr: 0.7}, why: second}] # ordered"
    )
    grid = expanded((NO_RULES, rules), small=True)
    changed = "supervised/cifar10/resnet18/cutmix/mce/s1"
    rates = {name: spec.settings["recipe"]["lr"] for name, spec in grid.runs.items()}
    assert rates[changed] == 0.7
    assert rates[f"{ROW}/cutmix/mce/s1"] == 0.5
    assert grid.origins(changed)["recipe", "lr"].origin[:2] == ("overrides", 1)


def test_an_extra_axis_becomes_a_segment_of_the_name(expanded):
    grid = expanded(
        (
            f"    dataset: cifar10\n    backbone: resnet18\n    {POLICIES}\n"
            "    objective: {group: softmax}",
            "    dataset: cifar10\n    backbone: resnet18\n    policy: cutmix\n"
            "    objective: dm_ce\n    objective.eta: [0.01, 2]",
        ),
        small=True,
    )
    names = [name for name in grid.runs if "/cifar10/" in name and name.endswith("/s0") and "eta" in name]
    assert names == [f"supervised/cifar10/resnet18/cutmix/dm_ce/eta={eta}/s0" for eta in ("0.01", "2.0")]
    assert [grid.runs[name].settings["objective"]["eta"] for name in names] == [0.01, 2.0]


def test_tier_is_a_set_of_overrides(expanded):
    full, embedded = expanded(small=True), expanded(small=True, tier="embedded")
    assert list(full.runs) == list(embedded.runs)
    name = f"{ROW}/cutmix/dm_ce/s0"
    assert full.runs[name].settings["policy"] == embedded.runs[name].settings["policy"]
    assert full.runs[name].settings["dataset"]["edition"] == "real"
    assert embedded.runs[name].settings["dataset"]["edition"] == "embedded"


def spec_with(settings, neutral) -> RunSpec:
    axes = dict.fromkeys(("method", "dataset", "backbone", "policy", "objective"), "x")
    return RunSpec("supervised", axes, settings, (), neutral, 0)


def test_a_neutral_value_leaves_the_digest_alone():
    before = spec_with({"policy": {"use": "cutmix", "alpha": 0.2}}, {})
    option = {"use": "cutmix", "alpha": 0.2, "new_option": 1}
    neutral = {"policy": {"new_option": 1}}
    assert spec_with({"policy": option}, neutral).digest() == before.digest()
    assert spec_with({"policy": {**option, "new_option": 2}}, neutral).digest() != before.digest()


def test_digest_ignores_order_and_sees_every_value():
    one = spec_with({"a": {"x": 1, "y": [1, 2]}, "b": {}}, {})
    other = spec_with({"b": {}, "a": {"y": [1, 2], "x": 1}}, {})
    assert one.digest() == other.digest()
    assert canonical_json({"b": 1.0, "a": [True]}) == '{"a":[true],"b":1.0}'
    seeds = {RunSpec(one.task, one.axes, one.settings, (), {}, seed).digest() for seed in range(3)}
    assert len(seeds) == 3


def test_neutral_values_are_frozen():
    """Editing a neutral value would give old runs a new meaning. New options are added to the file."""
    frozen = json.loads((Path(__file__).parent / "neutral.json").read_text())
    today = {"recipe": RECIPE_NEUTRAL}
    for spec in paper("full").runs.values():
        for section, values in spec.settings.items():
            if section in spec.neutral and spec.neutral[section] and section != "recipe":
                today[f"{section}.{values['use']}"] = spec.neutral[section]
    assert today == frozen


def test_digests_of_known_runs_are_stable(expanded):
    """A digest that moves orphans every record of every user. If this fails, do not edit the numbers."""
    frozen = json.loads((Path(__file__).parent / "digests.json").read_text())
    grid = expanded()
    assert {name: grid.runs[name].digest() for name in frozen} == frozen
