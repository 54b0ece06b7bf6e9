"""From a specification to a trainer: parts found by their names, built in one fixed order."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmix.data import feed
from dmix.data.dataset import Dataset
from dmix.engine.distributed import World, here
from dmix.engine.seeding import derive
from dmix.engine.task import Ingredients
from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.parts import read_part
from dmix.grid.spec import RunSpec
from dmix.models import pretrained
from dmix.models.backbone import Backbone

EVALUATION_PIXELS = 1000 * 32 * 32
"""Of a batch of test images, about: small images are read by the thousand, large ones in fewer."""


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


def assemble(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    reading: feed.Reading = feed.Reading(),  # noqa: B008 - frozen
    weights: Path | None = None,
) -> Trainer:
    """Build the run's trainer on `device`, at step 0.

    Parameters
    ----------
    reading: how images on disk are read; it changes no number.
    weights: the file that `recipe.init` speaks of, where it is not "random".
    """
    recipe, world = spec.settings["recipe"], here()
    shared = {"mean": recipe["mean"], "std": recipe["std"], "device": device}
    augment = load_part("augment", spec.settings["augment"])
    loader = feed.train_loader(
        dataset.splits["train"],
        augment,
        reading,
        batch_size=recipe["batch_size"],
        seed=derive(spec.seed, "data"),
        rows=world.rows(recipe["batch_size"]),
        **shared,
    )
    side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]
    test = feed.evaluation(
        dataset.splits["test"],
        load_part("view", spec.settings["view"]),
        # Where training decodes anew, so does the test: ImageNet's resized test images would take 13 GB.
        reading if getattr(augment, "first", None) else replace(reading, cache=None),
        batch_size=max(1, EVALUATION_PIXELS // side**2),
        share=world.batches(),
        **shared,
    )
    torch.manual_seed(derive(spec.seed, "init"))
    model = load_part("backbone", spec.settings["backbone"], dataset.classes)
    if weights is not None:
        start_from(model, weights, from_run=spec.source is not None)
    policy = load_part("policy", shared_out(spec.settings["policy"], world))
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


def start_from(model: Backbone, weights: Path, *, from_run: bool) -> None:
    """Fill all but the head of `model` from a file, and draw its classifier anew.

    Raises
    ------
    DmixError: the file is missing or damaged, or is of another network.
    """
    if from_run:
        pretrained.load_run(model, weights)
    else:
        pretrained.load_torchvision(model, weights)
    pretrained.fresh_classifier(model)


def shared_out(policy: Mapping[str, Any], world: World) -> Mapping[str, Any]:
    """Return a policy's settings for one process of several, which together draw `lam_groups` times.

    Raises
    ------
    DmixError: they cannot.
    """
    if world.size == 1 or "lam_groups" not in policy:
        return policy
    return {**policy, "lam_groups": world.share_of_groups(policy["lam_groups"])}


def _to_pixels(mean: list[float], std: list[float], device: torch.device) -> functools.partial[Tensor]:
    shift = torch.tensor(mean, device=device).view(1, 3, 1, 1)
    scale = torch.tensor(std, device=device).view(1, 3, 1, 1)
    return functools.partial(_denormalise, shift=shift, scale=scale)


def _denormalise(images: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return images * scale + shift
