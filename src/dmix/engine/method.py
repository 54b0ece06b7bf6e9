"""The contract of methods: the losses of a step, and the predictions that are evaluated.

The engine owns the loop, the optimiser, checkpoints and logging; a method owns modules. All state that a
checkpoint must hold is in the method's `state_dict`, none in closures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dmix.backbones.backbone import Backbone
from dmix.backbones.parameter_group import ParameterGroup, with_rest
from dmix.data.augment.contract import Augment, ImageAugment
from dmix.data.labels.label_split import LabelSplit
from dmix.data.loading import feed
from dmix.data.loading.loader import ResidentLoader
from dmix.data.loading.stream import StreamLoader
from dmix.data.sets.dataset import AnySplit, Dataset
from dmix.engine.seeding import derive
from dmix.objectives.objective import Objective
from dmix.policies.policy import Draws, Policy


@dataclass(frozen=True)
class Ingredients:
    """The arguments that a method is built from.

    Attributes
    ----------
    pixels: maps normalised images back to [0, 1], for policies that measure pixels.
    recipe: the recipe's settings.
    addon: the add-on of a two-stream method (`dmix.methods.addons`), or None.
    weights, from_run: the file the model was initialised from, if any, and whether one of our runs wrote it.
    relation: the file of the class relation (`dmix.engine.class_relation`), for methods that use one.
    """

    model: Backbone
    policy: Policy
    objective: Objective
    pixels: Callable[[Tensor], Tensor]
    recipe: Mapping[str, Any] = field(default_factory=dict)
    dataset: Dataset | None = None
    addon: Any = None
    weights: Path | None = None
    from_run: bool = False
    relation: Path | None = None


@dataclass(frozen=True)
class Feeding:
    """The arguments that a method's loader is built from.

    Attributes
    ----------
    split: the training images. labels: which of them are labelled and unlabelled; None means all labelled.
    augments: by settings section, "augment" and, where the recipe has one, "strong".
    recipe: the recipe's settings. seed: of the run. read_options: how images on disk are read.
    rows: this process's rows of each batch, if several processes share it.
    """

    split: AnySplit
    labels: LabelSplit | None
    augments: Mapping[str, Augment | ImageAugment]
    recipe: Mapping[str, Any]
    seed: int
    read_options: feed.ReadOptions
    device: torch.device
    rows: slice


@dataclass(frozen=True)
class Step:
    """A step's number from 0, the steps of the whole run, and the random numbers of mixing."""

    number: int
    total: int
    draws: Draws


class Method(nn.Module):
    """Base class of methods. Settings are keyword-only arguments of the subclass's `__init__`."""

    def loader(self, feeding: Feeding) -> Any:
        """Return the loader of the batches for `losses`; by default all training images, epoch by epoch."""
        return labelled_loader(feeding)

    def losses(self, batch: Any, step: Step) -> Mapping[str, Tensor]:
        """Return the step's named scalar losses; their sum is minimised."""
        raise NotImplementedError(type(self).__name__)

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the logits (N, classes) to evaluate, by name; tables report the first one."""
        raise NotImplementedError(type(self).__name__)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the groups of trainable parameters, first the one optimised entirely as the recipe says."""
        return with_rest(self.parameters(), [])

    def after_step(self, step: Step) -> None:
        """Update what no gradient trains, such as averages. Called after the optimiser's step."""


def labelled_loader(feeding: Feeding) -> ResidentLoader | StreamLoader:
    """Return the loader of all training images with labels; batches hold this process's rows."""
    recipe = feeding.recipe
    return feed.train_loader(
        feeding.split,
        feeding.augments["augment"],
        feeding.read_options,
        batch_size=recipe["batch_size"],
        mean=recipe["mean"],
        std=recipe["std"],
        seed=derive(feeding.seed, "data"),
        device=feeding.device,
        rows=feeding.rows,
    )
