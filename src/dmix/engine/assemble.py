"""Build a trainer from a run's specification: load its parts by name, in one fixed order."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dmix.backbones import pretrained
from dmix.backbones.backbone import Backbone
from dmix.backbones.sync_batchnorm import synchronise
from dmix.data.loading import feed
from dmix.data.sets.dataset import Dataset
from dmix.engine.distributed import here
from dmix.engine.method import Feeding, Ingredients
from dmix.engine.parts import load_class_terms, load_labels, load_part
from dmix.engine.seeding import derive
from dmix.engine.trainer import Trainer
from dmix.grid.spec import RunSpec

EVALUATION_PIXELS = 1000 * 32 * 32
"""Approximate pixels per evaluation batch: a thousand images of 32 x 32, fewer of larger ones."""


@dataclass(frozen=True)
class Given:
    """The input files of a run besides its data.

    Attributes
    ----------
    weights: initial weights; None where `recipe.init` is "random".
    relation: the class relation, for methods that use one (Co-Tuning).
    """

    weights: Path | None = None
    relation: Path | None = None


def assemble(
    spec: RunSpec,
    dataset: Dataset,
    device: torch.device,
    read_options: feed.ReadOptions = feed.ReadOptions(),  # noqa: B008 - frozen
    given: Given = Given(),
) -> Trainer:
    """Build the run's trainer on `device`, at step 0.

    Parameters
    ----------
    read_options: how images on disk are read; it changes no number.

    Raises
    ------
    DmixError: a part cannot be built, or the processes that were started cannot share the run's batch.
    """
    recipe, world = spec.settings["recipe"], here()
    world.share(recipe["shards"])
    torch.manual_seed(derive(spec.seed, "init"))
    model = load_part("backbone", spec.settings["backbone"], dataset.classes)
    if given.weights is not None:
        start_from(model, given.weights, from_run=spec.source is not None)
    if recipe["sync_batchnorm"]:
        # Not the policy: a process may leave its mixer out (lam near 0 or 1), and others would wait for it.
        synchronise(model)
    policy = load_part("policy", spec.settings["policy"])
    policy.attach(model)
    objective = load_part("objective", spec.settings["objective"], call=False)
    ingredients = Ingredients(
        model=model,
        policy=policy,
        objective=objective,
        pixels=_to_pixels(recipe["mean"], recipe["std"], device),
        recipe=recipe,
        dataset=dataset,
        addon=_addon(spec, policy, objective),
        weights=given.weights,
        from_run=spec.source is not None,
        relation=given.relation,
    )
    method = load_part("method", spec.settings["method"], ingredients)
    method.to(device=device, memory_format=torch.channels_last)
    feeding = Feeding(
        split=dataset.splits["train"],
        labels=load_labels(spec, dataset),
        augments={
            section: load_part(section, spec.settings[section])
            for section in ("augment", "strong")
            if spec.settings[section]
        },
        recipe=recipe,
        seed=spec.seed,
        read_options=read_options,
        device=device,
        rows=world.rows(recipe["batch_size"]),
    )
    test = _test(spec, dataset, feeding, world.batches())
    return Trainer(
        method,
        method.loader(feeding),
        test,
        recipe,
        load_part("optimizer", spec.settings["optimizer"], call=False),
        load_part("schedule", spec.settings["schedule"], call=False),
        spec.seed,
        device,
        label=spec.name,
    )


def _addon(spec: RunSpec, policy: Any, objective: Any) -> Any:
    if not spec.settings["addon"]:
        return None
    terms = load_class_terms(spec.settings["objective"])
    return load_part("addon", spec.settings["addon"], policy, objective, terms)


def _test(spec: RunSpec, dataset: Dataset, feeding: Feeding, share: slice) -> Any:
    recipe, read_options = feeding.recipe, feeding.read_options
    side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]
    # Test images are cached only where training images are: ImageNet's, resized, would take 13 GB.
    keeps = getattr(feeding.augments["augment"], "first_resize", None)
    return feed.evaluation(
        dataset.splits["test"],
        load_part("view", spec.settings["view"]),
        read_options if keeps else replace(read_options, cache=None),
        batch_size=max(1, EVALUATION_PIXELS // side**2),
        share=share,
        mean=recipe["mean"],
        std=recipe["std"],
        device=feeding.device,
    )


def start_from(model: Backbone, weights: Path, *, from_run: bool) -> None:
    """Load all weights of `model` but the head's from a file, and re-initialise its classifier.

    Raises
    ------
    DmixError: the file is missing or damaged, or belongs to another network.
    """
    if from_run:
        pretrained.load_run(model, weights)
    else:
        pretrained.load_published(model, weights)
    pretrained.fresh_classifier(model)


def _to_pixels(mean: list[float], std: list[float], device: torch.device) -> functools.partial[Tensor]:
    shift = torch.tensor(mean, device=device).view(1, 3, 1, 1)
    scale = torch.tensor(std, device=device).view(1, 3, 1, 1)
    return functools.partial(_denormalise, shift=shift, scale=scale)


def _denormalise(images: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return images * scale + shift
