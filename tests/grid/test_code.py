"""What of the source a run depends on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from dmix.grid.code import code_digest, code_modules, module_digest
from dmix.grid.expand import load_grid
from project import ROOT

SOURCE = (ROOT / "src/dmix/policies/cutmix.py").read_text()


def digest_of_text(tmp_path: Path, text: str) -> str:
    path = tmp_path / "module.py"
    path.write_text(text)
    module_digest.cache_clear()
    return module_digest(path, "dmix.policies.module")[0]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("        n, _, height", "        # a comment\n        n, _, height", True),
        ("def mix(", "\n\n    def mix(", True),
        ('"""Paste each partner', '"""Another docstring. Paste each partner', True),
        ("group = group_of_row(n, self.lam_groups)", "group = (group_of_row(n, self.lam_groups))", True),
        ("group = group_of_row(n, self.lam_groups)", "group = group_of_row(n, 1)", False),
        ("labels[partner], boxes", "labels, boxes", False),
        ("cut_ratio(lam), height, width", "cut_ratio(lam), width, height", False),
    ],
)
def test_only_meaning_changes_the_digest(tmp_path, old, new, same):
    assert SOURCE.count(old) >= 1
    before = digest_of_text(tmp_path, SOURCE)
    assert (digest_of_text(tmp_path, SOURCE.replace(old, new, 1)) == before) is same


def test_a_string_that_is_no_docstring_counts(tmp_path):
    assert digest_of_text(tmp_path, "def f():\n    return 'a'\n") != digest_of_text(
        tmp_path, "def f():\n    return 'b'\n"
    )


def test_a_run_depends_on_its_parts_and_the_engine_alone(expanded):
    grid = expanded()
    cutmix = code_modules(grid.runs["supervised/cifar100/resnet18/cutmix/dm_ce/s0"])
    mixup = code_modules(grid.runs["supervised/cifar100/resnet18/mixup/mce/s0"])
    assert "dmix.policies.cutmix" in cutmix
    assert "dmix.objectives.decoupled" in cutmix
    assert not {"dmix.policies.cutmix", "dmix.objectives.dm_ce", "dmix.objectives.decoupled"} & set(mixup)
    shared = {
        "dmix.engine.trainer",
        "dmix.engine.assemble",
        "dmix.data.loading.loader",
        "dmix.backbones.resnet",
    }
    assert shared <= set(cutmix) & set(mixup)
    rooms = {module.split(".")[1] for module in cutmix}
    assert rooms <= {"data", "engine", "objectives", "policies", "backbones", "methods"}


def test_a_run_depends_on_its_own_optimiser_and_schedule_alone(expanded):
    grid = expanded()
    for name, own in (
        ("supervised/cifar100/resnet18/mixup/mce/s0", {"optimizers.sgd", "schedules.cosine"}),
        ("supervised/imagenet/deit_small/deit/mce/s0", {"optimizers.adamw", "schedules.cosine"}),
        ("supervised/imagenet/resnet50/rsb/mbce_one/s0", {"optimizers.lamb", "schedules.cosine"}),
        ("transfer/bss/cub/resnet50/vanilla/ce/percent=15/s0", {"optimizers.sgd", "schedules.multistep"}),
        (
            "semi/fixmatch/cifar10/wrn28_2/vanilla/ce/count=250/s0",
            {"optimizers.sgd", "schedules.cosine_7_16"},
        ),
    ):
        parts = {f"dmix.engine.{part}" for part in own}
        rooms = ("dmix.engine.optimizers", "dmix.engine.schedules")
        found = {module for module in code_modules(grid.runs[name]) if module.startswith(rooms)}
        shared = {f"{room}.contract" for room in rooms} | {"dmix.engine.optimizers.adam_groups"}
        assert found - shared == parts, name


def test_every_module_that_a_run_imports_is_in_its_closure(expanded):
    """The closure is read from the source; compare with what Python says the modules import."""
    modules = code_modules(expanded().runs["supervised/cifar10/resnet18/cutmix/dm_ce/s0"])
    for module in modules:
        base = ROOT / "src" / Path(*module.split("."))
        path = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dmix."):
                room = node.module.split(".")[1]
                if room in ("data", "engine", "objectives", "policies", "backbones", "methods"):
                    assert node.module in modules


def test_seeds_share_the_code_digest(expanded):
    grid = expanded()
    names = [f"supervised/cifar10/resnet18/cutmix/dm_ce/s{seed}" for seed in range(3)]
    assert len({code_digest(grid.runs[name]) for name in names}) == 1


def test_what_mixes_rows_is_no_part_of_a_run_that_mixes_none():
    grid = load_grid("full", ROOT / "params.yaml")
    pairs = {"dmix.methods.addons.pairs", "dmix.methods.addons.asymmetric", "dmix.objectives.dm_ce"}
    fixmatch, transfer = "semi/fixmatch/cifar10/wrn28_2", "transfer/self_tuning/cub/resnet50"
    for bare, mixed in (
        (f"{fixmatch}/vanilla/ce/count=250/s0", f"{fixmatch}/mixup/dm_ce/count=250/s0"),
        (f"{transfer}/vanilla/ce/percent=15/s0", f"{transfer}/mixup/dm_ce/percent=15/s0"),
    ):
        assert not pairs & code_modules(grid.runs[bare]).keys()
        assert pairs - {"dmix.objectives.dm_ce"} <= code_modules(grid.runs[mixed]).keys()
    supervised = code_modules(grid.runs["supervised/cifar10/resnet18/mixup/mce/s0"])
    assert not {name for name in supervised if "pairs" in name or "semi" in name or "transfer" in name}
    assert "dmix.data.labels.splits" not in supervised
