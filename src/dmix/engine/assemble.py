"""From a specification to a trainer: the parts it names, built in one fixed order."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmix.data.dataset import Dataset, Split
from dmix.data.loader import EvaluationSet, ResidentLoader
from dmix.engine.seeding import derive
from dmix.engine.task import Ingredients
from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.grid.spec import RunSpec

EVALUATION_BATCH = 1000


def load_part(section: str, values: Mapping[str, Any], *given: Any, call: bool = True) -> Any:
    """Import the part that `values` names and build it from `given` and its settings.

    With call=False the part is a function whose settings are bound, and which is returned uncalled.
    """
    known = read_part(section, values["use"])
    if known is None:
        raise DmixError(f"the {section} {values['use']!r} is not yet implemented")
    target = getattr(importlib.import_module(known.module), known.attribute)
    settings = {key: value for key, value in values.items() if key != "use"}
    return target(*given, **settings) if call else functools.partial(target, **settings)


def load_dataset(spec: RunSpec, data_root: Path) -> Dataset:
    """Read the run's data set from `data_root`."""
    dataset: Dataset = load_part("dataset", spec.settings["dataset"], data_root)
    return dataset


def assemble(spec: RunSpec, dataset: Dataset, device: torch.device) -> Trainer:
    """Build the run's trainer on `device`, at step 0."""
    recipe = spec.settings["recipe"]
    feed = {"mean": recipe["mean"], "std": recipe["std"], "device": device}
    train_split, test_split = dataset.splits["train"], dataset.splits["test"]
    assert isinstance(train_split, Split)
    assert isinstance(test_split, Split)
    loader = ResidentLoader(
        train_split,
        load_part("augment", spec.settings["augment"]),
        batch_size=recipe["batch_size"],
        seed=derive(spec.seed, "data"),
        **feed,
    )
    test = EvaluationSet(test_split, batch_size=EVALUATION_BATCH, **feed)
    torch.manual_seed(derive(spec.seed, "init"))
    model = load_part("backbone", spec.settings["backbone"], dataset.classes)
    policy = load_part("policy", spec.settings["policy"])
    policy.attach(model)
    ingredients = Ingredients(
        model=model,
        policy=policy,
        objective=load_part("objective", spec.settings["objective"], call=False),
        pixels=_to_pixels(recipe["mean"], recipe["std"], device),
    )
    task = load_part("method", spec.settings["method"], ingredients)
    task.to(device=device, memory_format=torch.channels_last)
    return Trainer(task, loader, test, recipe, spec.seed, device, label=spec.name)


def _to_pixels(mean: list[float], std: list[float], device: torch.device) -> functools.partial[Tensor]:
    shift = torch.tensor(mean, device=device).view(1, 3, 1, 1)
    scale = torch.tensor(std, device=device).view(1, 3, 1, 1)
    return functools.partial(_denormalise, shift=shift, scale=scale)


def _denormalise(images: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return images * scale + shift
