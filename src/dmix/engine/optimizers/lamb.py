"""LAMB: Adam with a trust ratio for every layer (You et al., 2020)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt

from dmix import vision
from dmix.backbones.parameter_group import ParameterGroup
from dmix.engine.optimizers.adam_groups import adam_groups
from dmix.part import part


@part
def lamb(
    groups: Sequence[ParameterGroup],
    lr: float,
    weight_decay: float,
    *,
    momentum: Annotated[float, Ge(0), Lt(1)],
    beta2: Annotated[float, Gt(0), Lt(1)],
    eps: Annotated[float, Gt(0)],
) -> torch.optim.Optimizer:
    """Return timm's LAMB without its gradient clipping.

    Settings: `momentum` and `beta2`, decay of the running means of the gradient and of its square; `eps`,
    added to the root of the latter.
    """
    vision.timm()
    kind = importlib.import_module("timm.optim").Lamb
    # timm's default clips the gradient to a norm of 1; here clipping is the recipe's clip_norm.
    optimizer: torch.optim.Optimizer = kind(
        adam_groups(groups, weight_decay, momentum, beta2, eps), lr=lr, max_grad_norm=None
    )
    return optimizer
