"""What a recipe, its optimiser and its schedule refuse, before anything runs."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from project import small_params
from small_runs import ADAPTIVE, recipe

ADAMW, LAMB = ({"use": use, **ADAPTIVE} for use in ("adamw", "lamb"))
STEPS = {"use": "multistep", "milestones": [1, 2], "lr_decay": 0.5}


def without(part, key):
    return {name: value for name, value in part.items() if name != key}


WRONG = {
    "adamw without beta2": ({"optimizer": without(ADAMW, "beta2")}, "beta2", "Field required"),
    "adamw with a beta2 of 0": ({"optimizer": {**ADAMW, "beta2": 0.0}}, "beta2", "greater than 0"),
    "lamb without eps": ({"optimizer": without(LAMB, "eps")}, "eps", "Field required"),
    "lamb with an eps of 0": ({"optimizer": {**LAMB, "eps": 0.0}}, "eps", "greater than 0"),
    "sgd without momentum": ({"optimizer": {"use": "sgd"}}, "momentum", "Field required"),
    "sgd with too much momentum": ({"optimizer": {"momentum": 1.0}}, "momentum", "less than 1"),
    "sgd with beta2": ({"optimizer": {"beta2": 0.999}}, "beta2", "Extra inputs are not permitted"),
    "sgd with eps": ({"optimizer": {"eps": 1e-8}}, "eps", "Extra inputs are not permitted"),
    "adamw with nesterov": ({"optimizer": {**ADAMW, "nesterov": True}}, "nesterov", "not permitted"),
    "cosine with milestones": ({"schedule": {"milestones": [1]}}, "milestones", "not permitted"),
    "multistep without milestones": ({"schedule": without(STEPS, "milestones")}, "milestones", "required"),
    "multistep with none": ({"schedule": {**STEPS, "milestones": []}}, "milestones", "at least 1 item"),
    "multistep that does not fall": ({"schedule": {**STEPS, "lr_decay": 1.0}}, "lr_decay", "less than 1"),
    "multistep with an end": ({"schedule": {**STEPS, "lr_end": 0.1}}, "lr_end", "not permitted"),
    "FixMatch's cosine with a warm-up": (
        {"schedule": {"use": "cosine_7_16", "warmup_epochs": 1}},
        "warmup_epochs",
        "not permitted",
    ),
    "a warm-up from above": ({"schedule": {"warmup_start": 1.0}}, "warmup_start", "less than 1"),
    "a negative limit": ({"clip_norm": -1.0}, "clip_norm", "greater than or equal to 0"),
    "an unknown precision": ({"precision": "int8"}, "precision", "'fp32', 'tf32', 'bf16' or 'fp16'"),
    "an unknown exemption": ({"no_decay": "norms"}, "no_decay", "'nothing', 'vectors'"),
    "a setting of the optimiser": ({"momentum": 0.9}, "momentum", "Extra inputs are not permitted"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    changes, place, message = WRONG[case]
    with pytest.raises(ValidationError, match=re.escape(message)) as caught:
        recipe(**changes)
    assert [error["loc"] for error in caught.value.errors()] == [(place,)]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": ADAMW},
        {"optimizer": LAMB},
        {"optimizer": {"use": "sgd", "momentum": 0.0, "nesterov": True}},
        {"schedule": STEPS},
        {"schedule": {"use": "cosine_7_16"}},
        {"schedule": {"use": "cosine", "lr_end": 0.1, "warmup_epochs": 1, "warmup_start": 0.0}},
    ],
)
def test_taken(changes):
    assert {key: recipe(**changes)[key] for key in changes} == changes


OPTIMIZER, SCHEDULE = "optimizer: {use: sgd, momentum: 0.9}", "schedule: {use: cosine}"
MESSAGES = {
    "no optimiser": (
        (f"    {OPTIMIZER}\n", ""),
        "  cifar:",
        "recipes.cifar: the recipe has no optimizer",
    ),
    "no schedule": ((f"    {SCHEDULE}\n", ""), "  cifar:", "recipes.cifar: the recipe has no schedule"),
    "no augmentation": (
        ("    augment: {use: crop_flip, padding: 4, flip: 0.5}\n", ""),
        "  cifar:",
        "recipes.cifar: the recipe has no augment",
    ),
    "a name alone": (
        (OPTIMIZER, "optimizer: sgd"),
        "optimizer: sgd",
        "recipes.cifar.optimizer: Input should be an object",
    ),
    "a setting too few": (
        (OPTIMIZER, "optimizer: {use: adamw, momentum: 0.9, eps: 1.0e-8}"),
        "",
        "optimizer.beta2 is set nowhere; dmix/engine/optimizers/adamw.py needs it",
    ),
    "a setting too many": (
        (OPTIMIZER, "optimizer: {use: sgd, momentum: 0.9, eps: 0.1}"),
        "optimizer: {use: sgd",
        "recipes.cifar.optimizer.eps: unknown key: dmix/engine/optimizers/sgd.py takes momentum, nesterov",
    ),
    "an endless warm-up": (
        (SCHEDULE, "schedule: {use: cosine, warmup_epochs: 800}"),
        "schedule: {use: cosine",
        "recipes.cifar.schedule.warmup_epochs: a warm-up of 800 epochs never ends in 800",
    ),
    "a warm-up in a recipe that counts steps": (
        (
            f"epochs: 800\n    batch_size: 100\n    {OPTIMIZER}",
            f"steps: 9\n    batch_size: 100\n    {OPTIMIZER}",
        ),
        (SCHEDULE, "schedule: {use: cosine, warmup_epochs: 1}"),
        "schedule: {use: cosine",
        "recipes.cifar.schedule.warmup_epochs: a warm-up of 1 epochs never ends in 0",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_the_message_names_the_line_of_the_file(case, tmp_path):
    *edits, needle, message = MESSAGES[case]
    text = small_params()
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "params.yaml"
    path.write_text(text)
    line = text[: text.index(needle)].count("\n") + 1
    place = f"{path}:{line}: " if needle else f"{path}:"
    with pytest.raises(DmixError, match=re.escape(place)) as caught:
        load_grid("full", path)
    assert message in caught.value.message
