"""The grids that control for one thing, or that the paper names without a table, against lists by hand."""

from __future__ import annotations

import pytest

from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec
from project import real_grid

FULL = real_grid("full")
STATIC = ("mixup", "cutmix", "manifoldmix", "saliencymix", "fmix", "resizemix")
POLICIES = (*STATIC, "puzzlemix", "automix", "samix")
# Where alpha changes with the loss, by OpenMixup's tables and A.3: MCE's alpha; DM's is 0.2, of PuzzleMix 2.
CIFAR = {"mixup": 1.0, "manifoldmix": 2.0, "resizemix": 1.0, "puzzlemix": 1.0}
TINY = dict.fromkeys(("mixup", "cutmix", "saliencymix", "fmix", "resizemix", "puzzlemix"), 1.0)
DEEP = dict.fromkeys(("cutmix", "saliencymix", "fmix", "resizemix", "puzzlemix"), 1.0)
TRANSFORMERS = {"resizemix": 1.0, "puzzlemix": 1.0}
FINE = {"cutmix": 1.0, "manifoldmix": 0.5, "resizemix": 1.0}
CHANGED = {
    "cifar100": {("cifar100", "resnet18"): CIFAR, ("cifar100", "resnext50"): CIFAR},
    "tiny": {("tiny_imagenet", "resnet18"): TINY, ("tiny_imagenet", "resnext50"): TINY},
    "imagenet": {
        ("imagenet", "resnet18"): {"puzzlemix": 1.0},
        ("imagenet", "resnet34"): DEEP,
        ("imagenet", "resnet50"): DEEP,
    },
    "deit": {("imagenet", "deit_small"): TRANSFORMERS},
    "swin": {("imagenet", "swin_tiny"): TRANSFORMERS},
    "finegrained": {
        (dataset, network): FINE for dataset in ("cub", "aircraft") for network in ("resnet18", "resnext50")
    },
}


def dm_alpha(policy: str) -> float:
    return 2.0 if policy in ("puzzlemix", "automix", "samix") else 0.2


def of_grid(grid: Grid, name: str) -> list[RunSpec]:
    return [grid.runs[run] for run in grid.grids[name]]


def first_seed(name: str) -> list[RunSpec]:
    return [spec for spec in of_grid(FULL, name) if spec.seed == 0]


def place(spec: RunSpec) -> tuple[str, str]:
    return spec.axes["dataset"], spec.axes["backbone"]


def differing(one: RunSpec, other: RunSpec) -> set[str]:
    """Return the settings in which two runs differ, without those that change nothing."""
    a, b = ({k: v for k, v in spec.identity().items() if k != "seed"} for spec in (one, other))
    return {
        f"{section}.{key}"
        for section in {*a, *b}
        for key in {*a.get(section, {}), *b.get(section, {})}
        if a.get(section, {}).get(key) != b.get(section, {}).get(key)
    }


def test_alpha_changes_with_the_loss_in_49_of_123_pairs():
    assert sum(len(cells) for places in CHANGED.values() for cells in places.values()) + 2 == 49


@pytest.mark.parametrize("table", CHANGED)
@pytest.mark.parametrize(("grid", "changed_loss"), [("alpha_of_dm", "mce"), ("alpha_of_mce", "dm_ce")])
def test_both_losses_have_one_alpha(grid, changed_loss, table):
    """Against the list above; every run that is not the paper's table's differs from it in alpha alone."""
    seen = set()
    for spec in of_grid(FULL, f"{grid}_{table}"):
        policy, loss = spec.axes["policy"], spec.axes["objective"]
        usual = CHANGED[table][place(spec)]
        alpha = dm_alpha(policy) if grid == "alpha_of_dm" else usual.get(policy, dm_alpha(policy))
        assert spec.settings["policy"]["alpha"] == alpha, spec.name
        own = f"{'/'.join(('supervised', *place(spec), policy, loss))}/s{spec.seed}"
        if policy in usual and loss == changed_loss:
            assert spec.variation == (("policy.alpha", alpha),), spec.name
            assert differing(spec, FULL.runs[own]) == {"policy.alpha"}, spec.name
        else:
            assert spec.name == own
        seen.add((*place(spec), policy, loss, spec.seed))
    absent = {"deit": "manifoldmix", "swin": "manifoldmix", "finegrained": "puzzlemix"}.get(table)
    assert seen == {
        (*where, policy, loss, seed)
        for where in CHANGED[table]
        for policy in POLICIES
        for loss in ("mce", "dm_ce")
        for seed in (0, 1, 2)
        if policy != absent
    }


@pytest.mark.parametrize("grid", ["alpha_of_dm", "alpha_of_mce"])
def test_at_one_alpha_the_losses_differ_in_themselves_alone(grid):
    for table in CHANGED:
        pairs: dict[tuple[object, ...], dict[str, RunSpec]] = {}
        for spec in of_grid(FULL, f"{grid}_{table}"):
            key = (*place(spec), spec.axes["policy"], spec.seed)
            pairs.setdefault(key, {})[spec.axes["objective"]] = spec
        for pair in pairs.values():
            assert {key.partition(".")[0] for key in differing(pair["mce"], pair["dm_ce"])} == {"objective"}


def test_binary_losses_at_either_alpha():
    found = {
        (s.axes["policy"], s.axes["objective"], s.settings["policy"]["alpha"], len(s.variation))
        for s in of_grid(FULL, "alpha_rsb_a3")
    }
    losses = {"mbce_one": 1.0, "mbce_two": 1.0, "dm_bce": None}  # usual alpha; of DM that of A.3
    assert found == {
        (policy, loss, alpha, int(alpha != (usual or dm_alpha(policy))))
        for policy in ("resizemix", "puzzlemix")
        for loss, usual in losses.items()
        for alpha in (1.0, dm_alpha(policy))
    }


@pytest.mark.parametrize(("name", "dataset", "epochs"), [("cifar100", "cifar100", 800), ("cub", "cub", 200)])
def test_smaller_training_sets(name, dataset, epochs):
    found = {}
    for spec in first_seed(f"share_{name}"):
        whole = FULL.runs[f"supervised/{dataset}/resnet18/{spec.axes['policy']}/{spec.axes['objective']}/s0"]
        percent = spec.settings["labels"]["percent"]
        assert differing(spec, whole) == {"method.use", "labels.use", "labels.percent"}, spec.name
        assert (spec.settings["labels"]["use"], spec.settings["recipe"]["epochs"]) == ("share", epochs)
        found[spec.axes["policy"], spec.axes["objective"], percent] = whole.name
    assert set(found) == {
        (policy, loss, percent)
        for policy in ("mixup", "cutmix")
        for loss in ("mce", "dm_ce")
        for percent in (10, 25, 50)
    }
    assert {spec.name for spec in first_seed(f"share_{name}_whole")} == set(found.values())


def test_few_labels():
    cells = [
        (s.axes["method"], *place(s), s.settings["labels"]["count"], s.axes["objective"])
        for name in ("few_cifar10", "few_cifar100")
        for s in first_seed(name)
    ]
    assert sorted(cells) == sorted(
        (method, *where, count, loss)
        for method in ("mixmatch", "fixmatch")
        for where, counts in ((("cifar10", "wrn28_2"), [40]), (("cifar100", "wrn28_8"), [400, 2500]))
        for count in counts
        for loss in ("ce", "dm_ce")
    )
    of_table7 = {*FULL.grids["semi_cifar100"], *FULL.grids["semi_cifar100_dm"]}
    assert set(FULL.grids["few_cifar100"]) <= of_table7
    for spec in first_seed("few_cifar10"):
        other = FULL.runs[spec.name.replace("count=40", "count=250")]
        assert differing(spec, other) == {"labels.count"}


def test_lengths_of_training():
    found = [
        (s.axes["backbone"], s.axes["policy"], s.settings["recipe"]["epochs"]) for s in first_seed("lengths")
    ]
    assert sorted(found) == sorted(
        (network, policy, epochs)
        for network in ("resnet18", "resnext50")
        for policy in STATIC
        for epochs in (200, 400, 800, 1200)
    )
    for spec in first_seed("lengths"):
        table1 = FULL.runs[f"supervised/cifar100/{spec.axes['backbone']}/{spec.axes['policy']}/mce/s0"]
        length = spec.settings["recipe"]["epochs"]
        assert differing(spec, table1) == ({"recipe.epochs"} if length != 800 else set())


def test_steps_in_place_of_a_cosine():
    (cosine,), (steps,) = first_seed("schedule_cosine"), first_seed("schedule_steps")
    assert cosine.name == "supervised/imagenet/resnet50/mixup/mce/s0"
    of_schedule = {"schedule", "every_percent", "lr_decay"}  # which are recorded with the recipe
    assert differing(cosine, steps) == {f"recipe.{key}" for key in of_schedule}
    assert steps.settings["schedule"] == {"use": "step_decay", "every_percent": 30, "lr_decay": 0.1}


def test_the_released_form_beside_the_printed_one():
    for spec in first_seed("finegrained_released"):
        if spec.axes["objective"] != "dm_ce_released":
            continue
        printed = FULL.runs[spec.name.replace("dm_ce_released", "dm_ce")]
        assert differing(spec, printed) == {"objective.use", "objective.mode", "objective.power"}, spec.name
        assert (spec.settings["objective"]["mode"], spec.settings["objective"]["power"]) == ("both", 1.0)
    assert len(first_seed("finegrained_released")) == 6 * 4 * 3
    for spec in first_seed("transfer_released"):
        if spec.axes["objective"] != "dm_ce_released":
            continue
        printed = FULL.runs[spec.name.replace("dm_ce_released", "dm_ce")]
        weights = {"objective.use", "objective.mode", "objective.power"}
        assert differing(spec, printed) == {*weights, "pairing.rule", "pairing.sides"}, spec.name
        assert (spec.settings["addon"]["rule"], spec.settings["addon"]["sides"]) == ("at_least_half", "both")
    assert len(first_seed("transfer_released")) == 3 * 3 * 3 * 3


def test_the_search_over_alpha_is_of_no_tier_by_default():
    assert "alpha_search" not in FULL.grids
    found = [
        (s.axes["policy"], s.axes["objective"], s.settings["policy"]["alpha"])
        for s in of_grid(real_grid("smoke"), "alpha_search")
    ]
    assert sorted(found) == sorted(
        (policy, loss, alpha)
        for policy in ("mixup", "automix")
        for loss in ("mce", "dm_ce")
        for alpha in (0.1, 0.2, 0.5, 0.8, 1.0, 2.0)
    )
