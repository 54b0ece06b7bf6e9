"""The contract of optimisers: a function that builds a torch optimiser for a list of parameter groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from dmix.backbones.parameter_group import ParameterGroup


class BuildOptimizer(Protocol):
    """(groups, lr, weight_decay) -> a torch optimiser with one group for each of `groups`, in their order.

    `lr` and `weight_decay` are the recipe's. A group's own settings replace those of the recipe and of the
    optimiser (`ParameterGroup.own`): parameters exempt from weight decay are a group with weight_decay 0.
    Settings that the optimiser does not have are ignored. The trainer sets the learning rate of every group
    before every step.
    """

    def __call__(
        self, groups: Sequence[ParameterGroup], lr: float, weight_decay: float
    ) -> torch.optim.Optimizer:
        """Return the optimiser."""
        ...
