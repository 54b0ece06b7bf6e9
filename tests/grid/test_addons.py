"""Add-ons of two-stream methods: one entry makes one; what cannot be one is refused by line and reason."""

from __future__ import annotations

import pytest

from dmix import PACKAGE
from dmix.errors import DmixError
from dmix.grid.parts import read_part

NEW = "  dm: {base: mixup, title: +DM, objective: dm_ce, rule: at_most_half}\n"
GRID = "  transfer_mixup:\n    method: self_tuning\n    recipe: transfer\n"
ADDON = GRID + "    dataset: *finegrained_sets\n    backbone: resnet50\n    addon: mixup\n"


def entry(text):
    return NEW, f"{NEW}  other: {text}\n"


def test_another_policy_is_an_entry_and_a_name(expanded):
    """+CutMix is +Mixup but for its policy, whose own settings it has."""
    grid = expanded(
        entry("{base: mixup, title: +CutMix, policy: cutmix}"), (ADDON, ADDON.replace("mixup\n", "other\n"))
    )
    found = {name for name in grid.grids["transfer_mixup"] if name.endswith("s0")}
    assert found == {
        f"transfer/self_tuning/{dataset}/resnet50/cutmix/mce/percent={percent}/s0"
        for dataset in ("cub", "aircraft", "cars")
        for percent in (15, 30, 50)
    }
    spec = grid.runs[min(found)]
    assert spec.axes["addon"] == "other"
    assert spec.settings["policy"]["use"] == "cutmix"
    assert spec.settings["policy"]["derangement"]
    assert spec.settings["objective"] == {"use": "mce", "label_smoothing": 0.0}
    mixup = expanded().runs["transfer/self_tuning/aircraft/resnet50/mixup/mce/percent=15/s0"]
    assert spec.settings["addon"] == mixup.settings["addon"]


def test_an_entry_alone_moves_no_run(expanded):
    before = {name: spec.digest() for name, spec in expanded().runs.items()}
    grid = expanded(entry("{base: mixup, title: +CutMix, policy: cutmix}"))
    assert {name: spec.digest() for name, spec in grid.runs.items()} == before


@pytest.mark.parametrize("tier", ["embedded", "smoke"])
def test_an_identity_calls_the_section_as_it_always_did(expanded, tier):
    grid = expanded(tier=tier)
    mixed = [spec.identity() for spec in grid.runs.values() if spec.settings["addon"]]
    assert mixed
    assert {identity["pairing"]["use"] for identity in mixed} == {"pairs"}
    assert not any("addon" in identity for identity in mixed)


def of(changes):
    return f"{{base: mixup, title: +X, {changes}}}"


REFUSED = {
    "no such base": ("{base: mixupp, title: +X}", "base", "no add-on named 'mixupp'"),
    "a base of a base": ("{base: dm, title: +X}", "base", "'dm' has a base itself"),
    "no such policy": (of("policy: cutmx"), "policy", "there is no policy named 'cutmx'"),
    "no such objective": (of("objective: mc"), "objective", "there is no objective named 'mc'"),
    "no settings": (
        "{title: +X, policy: mixup, objective: mce}",
        "",
        "it mixes by mixup, but has no settings",
    ),
    "nothing mixed": (of("policy: vanilla"), "policy", "vanilla cannot be an add-on: it mixes nothing"),
    "hidden states": (
        of("policy: manifoldmix"),
        "policy",
        "manifoldmix cannot be an add-on: it mixes hidden",
    ),
    "gradients": (of("policy: puzzlemix"), "policy", "puzzlemix cannot be an add-on: it needs gradients"),
    "learned": (of("policy: automix"), "policy", "automix cannot be an add-on: its mixer learns"),
    "learned, too": (of("policy: samix"), "policy", "samix cannot be an add-on: its mixer learns"),
    "two policies": (of("policy: deit"), "policy", "deit cannot be an add-on: it draws one of two policies"),
    "sigmoids": (
        of("objective: dm_bce"),
        "objective",
        "dm_bce cannot be an add-on: a row's terms are of all",
    ),
    "no second label": (of("objective: ce"), "objective", "ce cannot be an add-on: it has no second label"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_an_add_on_is_refused_by_line_and_reason(case, expanded, tmp_path):
    text, key, message = REFUSED[case]
    with pytest.raises(DmixError) as caught:
        expanded(entry(text))
    line = (tmp_path / "params.yaml").read_text().splitlines().index(f"  other: {text}") + 1
    where = f"{tmp_path / 'params.yaml'}:{line}: addons.other{'.' if key else ''}{key}: "
    assert caught.value.message.startswith(where)
    assert message in caught.value.message


MISTAKES = {
    "a policy beside an add-on": (
        (ADDON, f"{ADDON}    policy: mixup\n"),
        "grids.transfer_mixup.policy: its addon says policy and objective already",
    ),
    "a policy in place of an add-on": (
        (ADDON, ADDON.replace("addon: mixup", "policy: mixup\n    objective: mce")),
        "grids.transfer_mixup.policy: self_tuning reads two streams and has an add-on",
    ),
    "an add-on of a supervised method": (
        (
            "    policy: vanilla\n    objective: ce\n    seeds: [0]\n",
            "    addon: none\n    seeds: [0]\n",
        ),
        "grids.pretraining.addon: supervised has no second stream",
    ),
    "an unknown add-on": (
        (ADDON, ADDON.replace("addon: mixup", "addon: mixupp")),
        "grids.transfer_mixup.addon: there is no addon named 'mixupp'",
    ),
    "an unknown setting": (
        (NEW, NEW.replace("rule:", "rul:")),
        "addons.dm.rul: unknown key: dmix/methods/addons/pairs.py takes rule",
    ),
    "an unknown setting of a method": (
        ("addon: &of_fixmatch {threshold: 0.95,", "addon: &of_fixmatch {treshold: 0.95,"),
        "addon.treshold: unknown key",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_grid_says_what_its_methods_have(case, expanded):
    edit, message = MISTAKES[case]
    with pytest.raises(DmixError) as caught:
        expanded(edit)
    assert message in caught.value.message


def test_every_policy_can_blend_or_says_why_not():
    folder = PACKAGE / "policies"
    names = [path.stem for path in folder.glob("*.py") if "\n@part\n" in path.read_text()]
    for name in names:
        part = read_part("policy", name)
        assert ({"blend", "draw_shares"} <= part.functions) != ("NO_BLEND" in part.constants), name
