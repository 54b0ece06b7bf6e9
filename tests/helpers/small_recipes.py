"""Recipes of small runs, written as in params.yaml, and the trainers they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dmix.engine.parts import load_part
from dmix.engine.trainer import Trainer
from dmix.grid.parts import read_part
from dmix.grid.schema import Recipe

PARTS = ("optimizer", "schedule")


def completed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a recipe and, as "optimizer" and "schedule", of its parts.

    As in params.yaml, a part in `changes` replaces that of `base` if it says `use`, and else changes it.
    """
    written = {**base, **changes}
    found = Recipe(**{key: value for key, value in written.items() if key not in PARTS}).model_dump(
        mode="json"
    )
    for section in PARTS:
        kept = {} if "use" in written[section] else base[section]
        settings = {**kept, **written[section]}
        use = settings.pop("use")
        found[section] = {"use": use, **read_part(section, use).model(**settings).model_dump(mode="json")}
    return found


def trainer_of(task, loader, test, settings, seed, label) -> Trainer:
    """The trainer of a task on the CPU, by settings as `completed` returns them."""
    recipe = {key: value for key, value in settings.items() if key not in PARTS}
    parts = (load_part(section, settings[section], call=False) for section in PARTS)
    return Trainer(task, loader, test, recipe, *parts, seed, torch.device("cpu"), label=label)
