"""The recorded form of a run's settings: what it keeps of earlier layouts of params.yaml."""

from __future__ import annotations

import pytest

from dmix.grid.code import code_digest
from dmix.grid.expand import load_grid
from dmix.grid.identity import clash, recorded
from dmix.grid.promise import promise
from dmix.grid.spec import SECTIONS, canonical_json, digest_of
from project import NO_RULES, Project, real_grid, small_params

SETTINGS = {
    "recipe": {"lr": 0.1, "ema": 0.0},
    "optimizer": {"use": "sgd", "momentum": 0.9, "nesterov": False},
    "schedule": {"use": "cosine", "lr_end": 0.01, "warmup_epochs": 0},
    "view": {"use": "unchanged"},
    "strong": {},
}
NEUTRAL = {
    "recipe": {"ema": 0.0},
    "optimizer": {"nesterov": False},
    "schedule": {"lr_end": 0.0, "warmup_epochs": 0},
    "view": {"use": "unchanged"},
}


def test_an_optimiser_and_a_schedule_are_recorded_among_the_settings_of_the_recipe():
    assert recorded(SETTINGS, NEUTRAL) == {
        "recipe": {"lr": 0.1, "optimizer": "sgd", "momentum": 0.9, "schedule": "cosine", "lr_end": 0.01}
    }
    nesterov = {**SETTINGS, "optimizer": {**SETTINGS["optimizer"], "nesterov": True}}
    assert recorded(nesterov, NEUTRAL)["recipe"]["nesterov"] is True


def test_the_form_of_a_whole_run(expanded):
    grid = expanded()
    for name, recipe in (
        (
            "supervised/imagenet/resnet50/rsb/mbce_one/s0",
            {
                "epochs": 100, "batch_size": 2048, "optimizer": "lamb", "lr": 0.008, "momentum": 0.9,
                "beta2": 0.999, "eps": 1e-6, "weight_decay": 0.02, "no_decay": "vectors", "clip_norm": 1.0,
                "precision": "fp16", "schedule": "cosine", "lr_end": 1e-6, "warmup_epochs": 5,
                "warmup_start": 1e-5, "score": "median_last10", "eval_every": 10,
                "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "sync_batchnorm": True,
                    "shards": 4,
            },
        ),
        (
            "supervised/cifar100/resnet18/cutmix/mce/s0",
            {
                "epochs": 800, "batch_size": 100, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9,
                "weight_decay": 1e-4, "schedule": "cosine", "score": "median_last10", "eval_every": 20,
                "mean": [0.4914, 0.4822, 0.4465], "std": [0.2023, 0.1994, 0.2010],
            },
        ),
    ):  # fmt: skip
        identity = grid.runs[name].identity()
        assert identity["recipe"] == recipe
        assert not {"optimizer", "schedule"} & identity.keys()


def test_two_settings_of_one_recorded_name_are_found(expanded):
    assert clash(SETTINGS) is None
    assert all(clash(spec.settings) is None for spec in expanded().runs.values())
    with_rate = {**SETTINGS, "optimizer": {**SETTINGS["optimizer"], "lr": 0.2}}
    assert clash(with_rate) == (("recipe", "lr"), ("optimizer", "lr"))
    both = {**SETTINGS, "schedule": {**SETTINGS["schedule"], "momentum": 0.2}}
    assert clash(both) == (("optimizer", "momentum"), ("schedule", "momentum"))


def test_a_part_with_a_setting_of_the_recipe_is_refused_by_both_names(project: Project):
    file = "src/dmix/engine/optimizers/own.py"
    (project.path / file).write_text("""
from dmix.part import part

@part
def own(groups, rate, decay, *, lr: float):
    ...
""")
    project.edit("params.yaml", "{use: sgd, momentum: 0.9}", "{use: own, lr: 0.1}")
    text = (project.path / "params.yaml").read_text()
    line = text[: text.index("{use: own")].count("\n") + 1
    done = project.dmix("plan")
    assert done.returncode == 2
    assert f"params.yaml:{line}: recipes.cifar.optimizer.lr: optimizer.lr would be recorded" in done.stderr
    assert "under the name of recipe.lr" in done.stderr


@pytest.mark.parametrize(
    ("change", "schedule"),
    [
        ("schedule: {warmup_epochs: 1}", {"lr_end": 0.05, "warmup_epochs": 1}),
        ("schedule: {use: cosine, warmup_epochs: 1}", {"lr_end": 0.0, "warmup_epochs": 1}),
        ("lr: 0.2", {"lr_end": 0.05, "warmup_epochs": 0}),
    ],
)
def test_a_part_without_use_changes_that_of_the_base_and_one_with_it_replaces_it(change, schedule, tmp_path):
    text = small_params().replace("{use: cosine}", "{use: cosine, lr_end: 0.05}")
    text = text.replace("\npolicies:\n", f"\n  other: {{base: cifar, {change}}}\n\npolicies:\n")
    text = text.replace(
        "    recipe: cifar\n    dataset: cifar10\n", "    recipe: other\n    dataset: cifar10\n"
    )
    path = tmp_path / "params.yaml"
    path.write_text(text)
    runs = load_grid("full", path).runs
    found = runs["supervised/cifar10/resnet18/vanilla/ce/s0"].settings
    assert found["schedule"] == {"use": "cosine", "warmup_start": 0.0, **schedule}
    assert found["optimizer"] == {"use": "sgd", "momentum": 0.9, "nesterov": False}


def test_settings_of_a_part_of_the_recipe_are_addressed_by_its_section(expanded):
    rule = "{when: {dataset: cifar10}, set: {optimizer.momentum: 0.8, schedule.lr_end: 0.05}, why: test}"
    grid = expanded((NO_RULES, f"overrides: [{rule}] # ordered"), small=True)
    assert {"optimizer", "schedule"} <= set(SECTIONS)
    found = grid.runs["supervised/cifar10/resnet18/mixup/mce/s0"].settings
    assert (found["optimizer"]["momentum"], found["schedule"]["lr_end"]) == (0.8, 0.05)


def test_the_name_of_a_run_says_which_part_an_extra_axis_chooses(expanded):
    grid = expanded(
        (
            "    dataset: cifar10\n    backbone: resnet18\n    policy: vanilla\n",
            "    dataset: cifar10\n    backbone: resnet18\n    policy: vanilla\n"
            "    schedule.use: [cosine, cosine_7_16]\n    optimizer.momentum: [0.9, 0.5]\n",
        ),
        small=True,
    )
    start = "supervised/cifar10/resnet18/vanilla/ce"
    assert [name for name in grid.runs if name.startswith(start) and name.endswith("s0")] == [
        f"{start}/s0",
        f"{start}/momentum=0.5/s0",
        f"{start}/schedule=cosine_7_16/s0",
        f"{start}/schedule=cosine_7_16/momentum=0.5/s0",
    ]


def test_the_canonical_text_is_the_json_of_the_identity():
    specs = [*real_grid("smoke").runs.values(), *real_grid("smoke").class_relations.values()]
    assert any(spec.source for spec in specs)
    assert any(spec.relation for spec in specs)
    for spec in specs:
        assert spec.canonical() == canonical_json(spec.identity())
        code = code_digest(spec)
        assert promise(spec) == canonical_json({"spec": spec.identity(), "code": code})
        assert spec.digest() == digest_of(spec.identity())
