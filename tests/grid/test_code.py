"""What of the source a run depends on."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from dmix import imported
from dmix.grid.code import code_digest, code_modules, code_parts, edited_since
from project import ROOT, real_grid


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
    grid = real_grid("full")
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


def test_the_engine_and_every_part_have_a_digest_of_their_own(expanded):
    grid = expanded()
    cutmix = code_parts(grid.runs["supervised/cifar100/resnet18/cutmix/dm_ce/s0"])
    mixup = code_parts(grid.runs["supervised/cifar100/resnet18/mixup/dm_ce/s0"])
    assert {label for label in cutmix if cutmix[label] != mixup.get(label)} == {"policy/cutmix"}
    assert {"engine", "optimizer/sgd", "schedule/cosine", "dataset/cifar", "backbone/resnet"} <= set(cutmix)
    assert all(len(digest) == 16 for digest in cutmix.values())


@pytest.mark.parametrize(
    ("old", "new", "edited"),
    [
        (b"import numpy as np\n", b"import numpy as np  # arrays\n", ()),
        (b"REDRAWS = 10\n", b"REDRAWS = 11\n", ("dmix.policies.draw",)),
    ],
)
def test_what_was_imported_is_compared_with_what_was_hashed(monkeypatch, expanded, old, new, edited):
    importlib.import_module("dmix.policies.cutmix")
    modules = code_modules(expanded().runs["supervised/cifar100/resnet18/cutmix/dm_ce/s0"])
    assert edited_since(modules) == ()
    source = imported.SOURCES["dmix.policies.draw"]
    assert source.count(old) == 1
    monkeypatch.setitem(imported.SOURCES, "dmix.policies.draw", source.replace(old, new))
    assert edited_since(modules) == edited


def test_every_module_is_compiled_from_the_source_that_is_kept():
    for name, module in sys.modules.items():
        if name.startswith("dmix.") and name != "dmix.imported":  # which keeps those of the others
            assert imported.SOURCES[name] == Path(module.__file__).read_bytes()
