"""What a method is: what happens in one step, and what is evaluated.

The engine owns the loop, the optimiser, checkpoints and logging; a method owns modules. All that must
survive a checkpoint is in the method's `state_dict`; nothing hides in closures.
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
    """What a method is made of.

    Attributes
    ----------
    pixels: maps normalised images back to [0, 1], for policies that measure pixels.
    recipe: its settings.
    addon: what mixes labelled rows with labelled and unlabelled ones beside a method of two streams, if
        anything (`dmix.methods.addons`).
    weights, from_run: the file whose weights the model has, if any, and whether a run of ours wrote it.
    relation: the file of a class relation (`dmix.engine.class_relation`), for a method that is taught one.
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
    """What a method's batches are made of.

    Attributes
    ----------
    split: the training images. labels: which of them have labels; None is all.
    augments: by section of the settings, "augment" and, where the recipe has one, "strong".
    recipe: its settings. seed: of the run. read_options: how images on disk are read.
    rows: this process's rows of each batch, where several share it.
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
    """One step's place in the run and its random numbers."""

    number: int
    total: int
    draws: Draws


class Method(nn.Module):
    """Base of every method. Settings are keyword-only arguments of the subclass's `__init__`."""

    def loader(self, feeding: Feeding) -> Any:
        """Return what gives `losses` its batches; here `Batch`es of all training images, epoch by epoch."""
        return labelled_loader(feeding)

    def losses(self, batch: Any, step: Step) -> Mapping[str, Tensor]:
        """Return the step's named scalar losses; their sum is minimised."""
        raise NotImplementedError(type(self).__name__)

    def predict(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return what is evaluated, logits (N, classes) by name; tables report the first one."""
        raise NotImplementedError(type(self).__name__)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the groups of trainable parameters, first the one that follows the recipe in everything."""
        return with_rest(self.parameters(), [])

    def after_step(self, step: Step) -> None:
        """Update what is not trained by gradient. Called after the optimiser's step."""


def labelled_loader(feeding: Feeding) -> ResidentLoader | StreamLoader:
    """Return batches of all training images with their labels, this process's rows of each."""
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
