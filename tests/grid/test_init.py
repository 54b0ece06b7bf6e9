"""Runs that start from the weights of another run, which is then part of what they are."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError
from dmix.grid.code import code_digest, code_modules
from dmix.grid.promise import promise
from paper import paper
from project import NO_RULES

SOURCE = "supervised/cifar100/{backbone}/vanilla/ce/s0"
LATER = "supervised/cifar10/{}/cutmix/dm_ce_released/s{}"


def recipe(init: str, name: str = "later") -> tuple[str, str]:
    return "\npolicies:\n", f'  {name}: {{base: cifar, init: "{init}"}}\n\npolicies:\n'


def grid_of(recipe: str, backbone: str, objective: str = "dm_ce_released", name: str = "later") -> str:
    return (
        f"  {name}: {{method: supervised, recipe: {recipe}, dataset: cifar10, backbone: {backbone}, "
        f"policy: cutmix, objective: {objective}}}\n"
    )


def grids(*entries: str) -> tuple[str, str]:
    return "\ntables:\n", f"{''.join(entries)}\ntables:\n"


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


BOTH = (recipe(SOURCE), grids(grid_of("later", "[resnet18, resnext50]")))


def test_the_source_is_the_named_run_of_the_same_backbone(expanded):
    grid = expanded(*BOTH, small=True)
    for backbone in ("resnet18", "resnext50"):
        for seed in range(3):
            spec = grid.runs[LATER.format(backbone, seed)]
            assert spec.source == grid.runs[SOURCE.format(backbone=backbone)]
            assert spec.identity()["source"] == spec.source.identity()
    others = [spec for name, spec in grid.runs.items() if name not in grid.grids["later"]]
    assert all(spec.source is None and "source" not in spec.identity() for spec in others)


def test_the_promise_of_a_job_has_the_source(expanded):
    name = LATER.format("resnet18", 0)
    before = promise(expanded(*BOTH, small=True).runs[name])
    assert '"source":{' in before
    rule = "{when: {dataset: cifar100}, set: {recipe.lr: 0.3}, why: test}"
    after = promise(expanded(*BOTH, (NO_RULES, f"overrides: [{rule}] # ordered"), small=True).runs[name])
    assert before != after


def test_a_setting_of_the_source_moves_its_dependants_and_nothing_else(expanded):
    rule = "{when: {dataset: cifar100, backbone: resnet18, objective: ce}, set: {recipe.lr: 0.3}, why: test}"
    before = expanded(*BOTH, small=True)
    after = expanded(*BOTH, (NO_RULES, f"overrides: [{rule}] # ordered"), small=True)
    moved = {name for name in before.runs if before.runs[name].digest() != after.runs[name].digest()}
    seeds = range(3)
    assert moved == {
        *(f"supervised/cifar100/resnet18/vanilla/ce/s{seed}" for seed in seeds),
        *(LATER.format("resnet18", seed) for seed in seeds),
    }
    assert (
        before.runs[LATER.format("resnet18", 0)].settings == after.runs[LATER.format("resnet18", 0)].settings
    )


def test_the_code_of_the_source_is_code_of_its_dependants(expanded):
    grid = expanded(*BOTH, small=True)
    spec = grid.runs[LATER.format("resnet18", 0)]
    own, of_source = code_modules(spec), code_modules(spec.source)
    assert of_source.items() <= own.items()
    alike = grid.runs["supervised/cifar10/resnet18/cutmix/mce/s0"]
    for module in ("dmix.objectives.ce", "dmix.policies.vanilla"):
        assert module in own
        assert module not in code_modules(alike)
    assert code_digest(spec) != code_digest(spec.source)


def test_a_source_may_draw_its_first_weights_by_another_rule(expanded):
    """The rule is of its identity and not of the network, which has to be the same."""
    rule = (
        "{when: {dataset: cifar100, backbone: resnet18, objective: ce}, "
        "set: {backbone.initialisation: zero_residual}, why: test}"
    )
    name = LATER.format("resnet18", 0)
    before = expanded(*BOTH, small=True).runs[name]
    after = expanded(*BOTH, (NO_RULES, f"overrides: [{rule}] # ordered"), small=True).runs[name]
    assert after.source.identity()["backbone"]["initialisation"] == "zero_residual"
    assert after.settings == before.settings
    assert after.digest() != before.digest()


@pytest.mark.parametrize("file", ["weights/resnet18-f37072fd.pth", "weights/net.a1-14fe96d1.safetensors"])
def test_a_file_stays_text(file, expanded):
    edits = (recipe(file), grids(grid_of("later", "resnet18")))
    spec = expanded(*edits, small=True).runs[LATER.format("resnet18", 0)]
    assert spec.source is None
    assert spec.identity()["recipe"]["init"] == file
    random = (recipe("random"), grids(grid_of("later", "resnet18")))
    plain = expanded(*random, small=True).runs[LATER.format("resnet18", 0)].identity()
    assert "init" not in plain["recipe"]


WRONG = {
    "unknown run": (
        (recipe("supervised/cifar11/{backbone}/vanilla/ce/s0"), grids(grid_of("later", "resnet18"))),
        f"{LATER.format('resnet18', 0)} starts from the run supervised/cifar11/resnet18/vanilla/ce/s0, "
        "which is in no grid",
    ),
    "unknown seed": (
        (recipe("supervised/cifar10/{backbone}/vanilla/ce/s3"), grids(grid_of("later", "resnet18"))),
        "starts from the run supervised/cifar10/resnet18/vanilla/ce/s3, which is in no grid",
    ),
    "unknown axis": (
        (recipe("supervised/cifar10/{bacbone}/vanilla/ce/s0"), grids(grid_of("later", "resnet18"))),
        "cannot read recipe.init 'supervised/cifar10/{bacbone}/vanilla/ce/s0': 'bacbone'",
    ),
    "unbalanced brace": (
        (recipe("supervised/cifar10/{backbone/vanilla/ce/s0"), grids(grid_of("later", "resnet18"))),
        "cannot read recipe.init 'supervised/cifar10/{backbone/vanilla/ce/s0'",
    ),
    "other network": (
        (recipe("supervised/cifar10/resnet18/vanilla/ce/s0"), grids(grid_of("later", "resnext50"))),
        f"{LATER.format('resnext50', 0)} starts from supervised/cifar10/resnet18/vanilla/ce/s0, "
        "which has another network",
    ),
    "itself": (
        (
            recipe("supervised/cifar10/{backbone}/cutmix/dm_ce_released/s0"),
            grids(grid_of("later", "resnet18")),
        ),
        "which is not trained from scratch itself",
    ),
    "run that starts from a file": (
        (
            recipe("weights/some.pth", "first"),
            recipe("supervised/cifar10/{backbone}/cutmix/dm_bce/s0"),
            grids(
                grid_of("first", "resnet18", "dm_bce", "first"),
                grid_of("later", "resnet18"),
            ),
        ),
        f"{LATER.format('resnet18', 0)} starts from supervised/cifar10/resnet18/cutmix/dm_bce/s0, "
        "which is not trained from scratch itself",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_source_that_cannot_be_is_named_with_its_line(case, expanded, tmp_path):
    edits, message = WRONG[case]
    with pytest.raises(DmixError) as caught:
        expanded(*edits, small=True)
    path = tmp_path / "params.yaml"
    line = line_of(path.read_text(), "  later: {method")
    assert str(caught.value).startswith(f"{path}:{line}: grids.later: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "init",
    [
        *(
            "pretrianed",
            "",
            "weights/",
            "weights/resnet18.pt",
            "weights/deep/resnet18.pth",
            "weights/../x.pth",
        ),
        *("supervised/cifar10/resnet18/vanilla/ce", "supervised/cifar10/s", "/supervised/cifar10/s0"),
        "supervised/cifar 10/vanilla/ce/s0",
    ],
)
def test_what_is_no_start_is_refused_with_its_line(init, expanded, tmp_path):
    with pytest.raises(DmixError) as caught:
        expanded(recipe(init), grids(grid_of("later", "resnet18")), small=True)
    path = tmp_path / "params.yaml"
    line = line_of(path.read_text(), "  later: {base")
    assert str(caught.value).startswith(f"{path}:{line}: recipes.later.init: String should match pattern")


@pytest.mark.parametrize("tier", ["embedded", "smoke"])
def test_fine_grained_runs_of_small_tiers_start_from_their_own_imagenet(tier):
    grid = paper(tier)
    later = {name for name, spec in grid.runs.items() if spec.source is not None}
    assert later == {
        name for name, spec in grid.runs.items() if spec.axes["dataset"] in ("cub", "aircraft", "cars")
    }
    for name in later:
        spec = grid.runs[name]
        backbone = spec.axes["backbone"]
        assert spec.source is grid.runs[f"supervised/imagenet/{backbone}/vanilla/ce/s0"]


def test_two_relationships_of_one_name_are_refused(expanded):
    """Two methods, on the same labels, whose relationships are learned in two ways."""
    place = "  self_tuning:\n    title: Self-Tuning\n"
    second = (
        "  direct_tuning:\n    title: Direct\n    use: transfer/co_tuning\n    task: transfer\n"
        "    relation_weight: 2.3\n    relation: {use: direct, source_scale: 0.9}\n"
    )
    message = "different class relations of one name, relation/cub/resnet50/percent=15/s0"
    with pytest.raises(DmixError, match=message):
        expanded((place, second + place))


def test_a_relationship_learned_otherwise_has_another_name(expanded):
    axis = "    addon.unlabelled: [true, false]\n"
    grid = expanded(
        ("    method: [fine_tuning, co_tuning]\n", "    method: co_tuning\n"),
        (axis, f"{axis}    relation.fit_percent: [80, 60]\n"),
    )
    names = {spec.relation.name for spec in grid.runs.values() if spec.relation is not None}
    assert "relation/cub/resnet50/percent=15/fit_percent=60/s0" in names
    assert len(names) == 2 * 9
