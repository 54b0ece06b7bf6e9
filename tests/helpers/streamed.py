"""Test projects whose images are on disk, and whose runs on CUB start from the weights of one on ImageNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from project import POLICIES, Project, real_params, small_params

SOURCE = "supervised/imagenet/resnet18/vanilla/ce/s0"
DEPENDANTS = {f"supervised/cub/resnet18/{policy}/mce/s0" for policy in ("mixup", "cutmix")}
CIFAR10 = {f"supervised/cifar10/resnet18/{cell}/s0" for cell in ("vanilla/ce", "cutmix/mce", "cutmix/dm_ce")}
EVERYTHING = {SOURCE, *DEPENDANTS, *CIFAR10}
NO_RULES = "\noverrides: []\n"
GRIDS = {
    "imagenet_vanilla": ("imagenet", "imagenet", "vanilla", "ce"),
    "cub": ("finegrained", "cub", ["mixup", "cutmix"], "mce"),
}
SMOKE = (
    ({}, {"recipe.batch_size": 100, "recipe.epochs": 1}),
    ({"dataset": ["imagenet", "cub"]}, {"augment.size": 16}),
    ({"dataset": ["imagenet", "cub"]}, {"view.shorter_side": 20, "view.size": 16}),
    ({"dataset": "cub"}, {"augment.shorter_side": 20}),
)  # fmt: skip


def rule(when: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return an override."""
    return {"when": when, "set": settings, "why": "test"}


def streamed() -> dict[str, Any]:
    """Return the small params.yaml with grids on ImageNet and CUB, and the real entries they need."""
    real = real_params()
    params = yaml.safe_load(small_params().replace(POLICIES, "policy: cutmix"))
    for section, names in (("datasets", ("imagenet", "cub")), ("recipes", ("imagenet", "finegrained"))):
        params[section] |= {name: real[section][name] for name in names}
    for name, (recipe, dataset, policy, objective) in GRIDS.items():
        cell = {"recipe": recipe, "dataset": dataset, "policy": policy, "objective": objective}
        params["grids"][name] = {"method": "supervised", "backbone": "resnet18", **cell}
        table = {"number": "0", "title": name, "grids": [name], "rows": "policy", "columns": ["objective"]}
        params["tables"][f"table_{name}"] = table
    smoke = params["tiers"]["smoke"]
    smoke |= {"omit": ["cifar100", "cifar100_vanilla"], "overrides": [rule(*each) for each in SMOKE]}
    return params


def create(path: Path, embedded_data: Path, params: dict[str, Any]) -> Project:
    """Create a project with a data folder of its own, in which the embedded editions are the shared ones."""
    project = Project.create(path, params=yaml.safe_dump(params, sort_keys=False))
    (path / "data/embedded").mkdir(parents=True)
    for edition in (embedded_data / "embedded").iterdir():
        (path / "data/embedded" / edition.name).symlink_to(edition)
    return project
