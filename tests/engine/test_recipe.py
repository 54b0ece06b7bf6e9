"""What a recipe refuses."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from small_runs import ADAPTIVE, recipe

from dmix.errors import DmixError
from dmix.grid.expand import load_grid
from project import small_params

ADAMW = {**ADAPTIVE, "optimizer": "adamw"}
WRONG = {
    "an unknown optimiser": ({"optimizer": "adam"}, "optimizer", "Input should be 'sgd', 'adamw' or 'lamb'"),
    "adamw without beta2": ({**ADAMW, "beta2": 0.0}, "beta2", "adamw needs a beta2 above 0"),
    "lamb without eps": ({**ADAMW, "optimizer": "lamb", "eps": 0.0}, "eps", "lamb needs a eps above 0"),
    "sgd with beta2": ({"beta2": 0.999}, "beta2", "sgd has no beta2"),
    "sgd with eps": ({"eps": 1e-8}, "eps", "sgd has no eps"),
    "adamw with nesterov": ({**ADAMW, "nesterov": True}, "nesterov", "adamw has no nesterov"),
    "a warm-up as long as the run": ({"warmup_epochs": 2}, "warmup_epochs", "never ends in 2"),
    "a warm-up from above": ({"warmup_start": 1.0}, "warmup_start", "less than 1"),
    "a negative limit": ({"clip_norm": -1.0}, "clip_norm", "greater than or equal to 0"),
    "an unknown precision": ({"precision": "int8"}, "precision", "'fp32', 'tf32', 'bf16' or 'fp16'"),
    "an unknown exemption": ({"no_decay": "norms"}, "no_decay", "'nothing', 'vectors'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    changes, place, message = WRONG[case]
    with pytest.raises(ValidationError, match=re.escape(message)) as caught:
        recipe(**changes)
    assert [error["loc"] for error in caught.value.errors()] == [(place,)]


@pytest.mark.parametrize(
    "changes",
    [ADAMW, {**ADAMW, "optimizer": "lamb"}, {"nesterov": True}, {"warmup_epochs": 1, "warmup_start": 0.0}],
)
def test_taken(changes):
    assert {key: recipe(**changes)[key] for key in changes} == changes


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("optimizer: adamw", "recipe.beta2 is set nowhere; the recipe needs it"),
        ("optimizer: adamw\n    beta2: 0.999", "recipe.eps is set nowhere; the recipe needs it"),
        ("optimizer: sgd\n    eps: 0.1", "recipes.cifar.eps: sgd has no eps (checked against the recipe)"),
        ("optimizer: sgd\n    warmup_epochs: 900", "recipes.cifar.warmup_epochs: a warm-up of 900 epochs"),
    ],
)
def test_the_message_names_the_line_of_the_file(line, message, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(small_params().replace("optimizer: sgd", line))
    with pytest.raises(DmixError, match=re.escape(message)):
        load_grid("full", path)
