"""What a tier leaves out or narrows, and the seeds of a grid."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from dmix.grid.resolve import Resolver
from paper import paper
from project import NO_RULES, ROOT, small_params

TITLE = "    title: full scale, the paper's settings\n"
VANILLA = "  cifar10_vanilla:\n    method: supervised\n"
RESOLVED = "  cifar100_vanilla:\n    method: supervised\n"


def tier(line: str) -> tuple[str, str]:
    """Return the edit that gives the full tier of the small params.yaml a further line."""
    return TITLE, f"{TITLE}    {line}\n"


def seeds(value: str) -> tuple[str, str]:
    return VANILLA, f"{VANILLA}    seeds: {value}\n"


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


def test_omit_leaves_out_a_grid_and_nothing_else(expanded):
    whole = expanded(small=True)
    grid = expanded(tier("omit: [cifar100]"), small=True)
    gone = set(whole.runs) - set(grid.runs)
    assert gone == set(whole.grids["cifar100"])
    assert list(grid.grids) == [name for name in whole.grids if name != "cifar100"]
    assert {name: spec.digest() for name, spec in grid.runs.items()} == {
        name: spec.digest() for name, spec in whole.runs.items() if name not in gone
    }


def test_a_table_without_runs_is_none_of_the_tier(expanded):
    grid = expanded(tier("omit: [cifar10, cifar10_vanilla]"), small=True)
    assert list(grid.tables) == ["table1"]
    assert list(grid.params.tables) == ["table1", "tableS1"]
    assert grid.table_runs(grid.params.tables["tableS1"]) == ()
    half = expanded(tier("omit: [cifar10]"), small=True)
    assert half.table_runs(half.tables["tableS1"]) == half.grids["cifar10_vanilla"]


def test_narrow_keeps_some_entries_of_an_axis(expanded):
    whole = expanded(small=True)
    grid = expanded(tier("narrow: {cifar100: {backbone: resnet18, policy: [cutmix, mixup]}}"), small=True)
    kept = [
        name
        for name in whole.grids["cifar100"]
        if whole.runs[name].axes["backbone"] == "resnet18" and whole.runs[name].axes["policy"] != "ghost"
    ]
    assert list(grid.grids["cifar100"]) == kept
    assert len(kept) == 2 * 2 * 3
    assert {name: grid.grids[name] for name in grid.grids if name != "cifar100"} == {
        name: whole.grids[name] for name in whole.grids if name != "cifar100"
    }


def test_narrow_knows_what_a_selector_selects(expanded):
    edits = (
        tier("narrow: {cifar10: {objective: dm_ce}}"),
        ("backbone: resnet18\n    policy: [mixup, cutmix, ghost]", "backbone: resnet18\n    policy: cutmix"),
    )
    grid = expanded(*edits, small=True)
    assert [grid.runs[name].cell for name in grid.grids["cifar10"]] == [
        "supervised/cifar10/resnet18/cutmix/dm_ce"
    ] * 3


def test_narrow_keeps_some_seeds(expanded):
    grid = expanded(tier("narrow: {cifar100: {seeds: [0, 2]}, cifar10: {seeds: 1}}"), small=True)
    found = {name: sorted({grid.runs[run].seed for run in runs}) for name, runs in grid.grids.items()}
    assert found == {
        "cifar100": [0, 2],
        "cifar100_vanilla": [0, 1, 2],
        "cifar10": [1],
        "cifar10_vanilla": [0, 1, 2],
    }


@pytest.mark.parametrize(("value", "expected"), [("[0]", [0]), ("7", [7]), ("[5, 3]", [5, 3])])
def test_seeds_of_a_grid_stand_in_place_of_the_tiers(expanded, value, expected):
    grid = expanded(seeds(value), small=True)
    assert [grid.runs[name].seed for name in grid.grids["cifar10_vanilla"]] == expected
    assert {grid.runs[name].seed for name in grid.grids["cifar10"]} == {0, 1, 2}


WRONG = {
    "omit of an unknown grid": (tier("omit: [cifar11]"), "omit:", "tiers.full.omit: no grid named 'cifar11'"),
    "narrow of an unknown grid": (
        tier("narrow: {cifar11: {backbone: resnet18}}"),
        "narrow:",
        "tiers.full.narrow: no grid named 'cifar11'",
    ),
    "narrow by what is no axis": (
        tier("narrow: {cifar100: {recipe: cifar}}"),
        "narrow:",
        "tiers.full.narrow.cifar100.recipe: unknown axis; choose of method, dataset, backbone",
    ),
    "narrow to an entry of another grid": (
        tier("narrow: {cifar10: {backbone: resnext50}}"),
        "narrow:",
        "tiers.full.narrow.cifar10.backbone: the grid cifar10 has no backbone 'resnext50'",
    ),
    "narrow to an entry of none": (
        tier("narrow: {cifar10: {policy: [mixup, cutmx]}}"),
        "narrow:",
        "tiers.full.narrow.cifar10.policy: the grid cifar10 has no policy 'cutmx'",
    ),
    "narrow to another seed": (
        tier("narrow: {cifar10: {seeds: [0, 3]}}"),
        "narrow:",
        "tiers.full.narrow.cifar10.seeds: the grid cifar10 has no seeds 3",
    ),
    **{
        f"seeds {value}": (
            seeds(value),
            f"seeds: {value}\n",
            "grids.cifar10_vanilla.seeds: seeds are whole numbers of 0 or more",
        )
        for value in ("-1", "[0, -1]", "1.0", "[0, 1.5]", "[zero]", "true", "[[0]]")
    },
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_its_line(case, expanded, tmp_path):
    edit, needle, message = WRONG[case]
    with pytest.raises(DmixError) as caught:
        expanded(edit, small=True)
    path = tmp_path / "params.yaml"
    assert f"{path}:{line_of(path.read_text(), needle)}: {message}" in str(caught.value)


def test_a_wrong_setting_of_an_omitted_grid_is_found(expanded):
    wrong = (RESOLVED, f"{RESOLVED}    recipe.rl: 0.1\n")
    with pytest.raises(DmixError, match=r"recipe\.rl: unknown key"):
        expanded(tier("omit: [cifar100, cifar100_vanilla]"), wrong, small=True)


@pytest.mark.parametrize(
    "left_out", ["omit: [cifar100, cifar100_vanilla]", "narrow: {cifar100: {backbone: resnet18}}"]
)
def test_an_override_of_cells_that_are_left_out_is_of_use(expanded, left_out):
    # resnext50 is in the grids of CIFAR-100 alone.
    rule = "{when: {backbone: resnext50, policy: mixup}, set: {recipe.lr: 0.2}, why: test}"
    grid = expanded((NO_RULES, f"overrides: [{rule}] # ordered"), tier(left_out), small=True)
    assert not any("resnext50/mixup" in name for name in grid.runs)


@pytest.mark.parametrize("name", ["embedded", "hour"])
def test_a_job_expands_what_its_tier_has_and_nothing_else(name, monkeypatch):
    whole = load_grid(name, ROOT / "params.yaml")
    resolved = []
    sections = Resolver.sections
    monkeypatch.setattr(
        Resolver, "sections", lambda self, cell, *table: resolved.append(cell) or sections(self, cell, *table)
    )
    found = load_grid(name, ROOT / "params.yaml", thorough=False)
    assert found.runs == whole.runs
    assert found.places == whole.places
    assert found.grids == whole.grids
    assert found.class_relations == whole.class_relations
    axes = [{tuple(cell.axes.items()) for cell in some} for some in (resolved, whole.cells.values())]
    assert axes[0] == axes[1]


def test_a_job_leaves_mistakes_elsewhere_to_the_workflow(expanded):
    wrong = (RESOLVED, f"{RESOLVED}    recipe.rl: 0.1\n")
    left_out = tier("omit: [cifar100, cifar100_vanilla]")
    grid = expanded(left_out, wrong, small=True, thorough=False)
    assert set(grid.grids) == {"cifar10", "cifar10_vanilla"}


def test_the_small_params_leave_out_nothing():
    assert "omit" not in small_params()
    assert "narrow" not in small_params()


def cells(name: str) -> set[str]:
    return {spec.cell for spec in paper(name).runs.values()}


def comparable(name: str) -> set[str]:
    """Return the cells of a tier but for numbers of labels and steps, which small tiers cannot have alike."""
    return {re.sub(r"/(count|steps)=\d+", r"/\1", cell) for cell in cells(name)}


def test_smoke_has_every_cell_of_the_paper():
    # ResNeXt-50 on ImageNet is in no table: fine-grained runs of the small tiers start from it.
    assert comparable("smoke") == comparable("full") | {"supervised/imagenet/resnext50/vanilla/ce"}
    counts = [Counter(cell.partition("/count=")[0] for cell in cells(name)) for name in ("smoke", "full")]
    table7 = {cell: count for cell, count in counts[0].items() if cell.startswith("semi/")}
    assert set(table7.values()) == {2, 3}
    assert {cell: counts[1][cell] for cell in table7 if "/wrn28_8/" in cell} == {
        cell: count for cell, count in table7.items() if "/wrn28_8/" in cell
    }


def test_embedded_has_tables_1_to_8_but_for_transformers_with_every_objective():
    full, embedded = (paper(name) for name in ("full", "embedded"))

    def shown(grid, table):
        runs = [grid.runs[name].axes for name in grid.table_runs(grid.tables[table])]
        return {(axes["method"], axes["policy"], axes["objective"]) for axes in runs}

    def part(rows, place):
        return {row[place] for row in rows}

    # Transformers (Table 3) stay at chance with so few images and steps. All are narrowed for time.
    supervised = {f"table{number}" for number in (1, 2, 4, 5)}
    two_streams = {f"table{number}" for number in (6, 7, 8)}
    ablations = {f"tableS{number}" for number in range(3, 7)}
    assert set(embedded.tables) == supervised | two_streams | ablations
    for table in embedded.tables:
        assert shown(embedded, table) <= shown(full, table), table
    for table in supervised:
        assert part(shown(embedded, table), 2) | {"ce"} == part(shown(full, table), 2) | {"ce"}, table
        assert len(part(shown(embedded, table), 1)) >= 3, table
    for table in two_streams:
        assert shown(embedded, table) == shown(full, table), table
    assert comparable("embedded") - {"supervised/imagenet/resnext50/vanilla/ce"} <= comparable("full")


def test_small_tiers_need_nothing_from_outside():
    for name in ("embedded", "smoke"):
        for spec in paper(name).runs.values():
            assert spec.settings["dataset"]["edition"] == "embedded", spec.name
            assert not spec.settings["recipe"]["init"].startswith("weights/"), spec.name
