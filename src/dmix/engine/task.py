"""What a task (method) is: what happens in one step, and what is evaluated.

The engine owns the loop, the optimiser, checkpoints and logging; a task owns modules. All that must
survive a checkpoint is in the task's `state_dict`; nothing hides in closures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from dmix.data.loader import Batch
from dmix.losses.objective import Objective
from dmix.mixups.policy import Draws, Policy
from dmix.models.backbone import Backbone
from dmix.models.parameter_group import ParameterGroup, with_rest


@dataclass(frozen=True)
class Ingredients:
    """What a task is made of.

    Attributes
    ----------
    pixels: maps normalised images back to [0, 1], for policies that measure pixels.
    """

    model: Backbone
    policy: Policy
    objective: Objective
    pixels: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Step:
    """One step's place in the run and its random numbers."""

    number: int
    total: int
    draws: Draws


class Task(nn.Module):
    """Base of every task. Settings are keyword-only arguments of the subclass's `__init__`."""

    def losses(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
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
