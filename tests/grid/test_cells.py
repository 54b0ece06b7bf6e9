"""What a grid's line adds to its product: the companion without mixing, and entries beside a selector."""

from __future__ import annotations

import pytest

from dmix.errors import DmixError

GRID = "  cifar10: # Table S1, left half: a benchmark the paper names (4.1) and prints no table of\n"
MIXED = "    backbone: resnet18\n    policy: [mixup, cutmix, ghost]\n"


def with_line(line: str) -> tuple[str, str]:
    """Return the edit that gives the small grid cifar10 a further line."""
    return GRID, f"{GRID}    {line}\n"


def with_policy(value: str) -> tuple[str, str]:
    return MIXED, f"    backbone: resnet18\n    policy: {value}\n"


def test_the_companion_is_the_grid_of_the_unmixed_cells(expanded):
    """The small params.yaml writes it out, as cifar10_vanilla."""
    apart = expanded(small=True)
    grid = expanded(with_line("vanilla: ce"), small=True)
    assert grid.grids["cifar10"] == (*apart.grids["cifar10_vanilla"], *apart.grids["cifar10"])
    assert grid.runs == apart.runs


def test_the_companion_has_the_grids_seeds_backbones_and_settings(expanded):
    text = (
        "    backbone: [resnet18, resnext50]\n    policy: cutmix\n    recipe.epochs: [7, 9]\n    seeds: [4]\n"
    )
    grid = expanded(with_line("vanilla: ce"), (MIXED, text), small=True)
    expected = {
        f"supervised/cifar10/{backbone}/{cell}/epochs={epochs}/s4"
        for backbone in ("resnet18", "resnext50")
        for cell in ("vanilla/ce", "cutmix/mce", "cutmix/dm_ce")
        for epochs in (7, 9)
    }
    assert set(grid.grids["cifar10"]) == expected


def test_a_tier_omits_and_narrows_the_companion_with_its_grid(expanded):
    title = "    title: full scale, the paper's settings\n"

    def cells(line: str) -> set[str]:
        grid = expanded(with_line("vanilla: ce"), (title, f"{title}    {line}\n"), small=True)
        return {grid.runs[name].cell.partition("/resnet18/")[2] for name in grid.grids.get("cifar10", ())}

    assert cells("omit: [cifar10]") == set()
    assert cells("narrow: {cifar10: {policy: [vanilla, mixup]}}") == {
        "vanilla/ce",
        "mixup/mce",
        "mixup/dm_ce",
    }
    assert cells("narrow: {cifar10: {policy: mixup}}") == {"mixup/mce", "mixup/dm_ce"}
    assert cells("narrow: {cifar10: {objective: ce}}") == {"vanilla/ce"}


def test_also_adds_an_entry_at_its_place(expanded):
    selected = "{kind: static, except: [fmix, saliencymix, resizemix]%s}"

    def policies(value: str) -> list[str]:
        grid = expanded(with_policy(value), small=True)
        return list(dict.fromkeys(grid.runs[name].axes["policy"] for name in grid.grids["cifar10"]))

    assert policies(selected % "") == ["mixup", "cutmix", "manifoldmix"]
    assert policies(selected % ", also: [rsb, ghost]") == ["ghost", "mixup", "cutmix", "manifoldmix", "rsb"]


WRONG = {
    "a companion with an objective of two labels": (
        with_line("vanilla: dm_ce"),
        "grids.cifar10: impossible cell vanilla x dm_ce: vanilla mixes no samples",
    ),
    "a companion with an unknown objective": (
        with_line("vanilla: cee"),
        "grids.cifar10.vanilla: there is no objective named 'cee'",
    ),
    "also of an unknown entry": (
        with_policy("{kind: static, also: cutmx}"),
        "grids.cifar10.policy: also names 'cutmx', which is no entry of policies",
    ),
    "also of what is selected": (
        with_policy("{kind: static, also: cutmix}"),
        "grids.cifar10.policy: also names 'cutmix', which is selected anyway",
    ),
    "also beside a selector of nothing": (
        with_policy("{kind: static, family: none, also: rsb}"),
        "grids.cifar10.policy: no entry of policies matches",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case, expanded):
    edit, message = WRONG[case]
    with pytest.raises(DmixError) as caught:
        expanded(edit, small=True)
    assert message in str(caught.value)
