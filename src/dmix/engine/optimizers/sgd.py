"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Lt

from dmix.backbones.parameter_group import ParameterGroup
from dmix.part import part


@part
def sgd(
    groups: Sequence[ParameterGroup],
    lr: float,
    weight_decay: float,
    *,
    momentum: Annotated[float, Ge(0), Lt(1)],
    nesterov: bool = False,
) -> torch.optim.Optimizer:
    """Return torch's SGD.

    Settings: `momentum`, decay of the velocity, 0 for none; `nesterov`, whether to use Nesterov's momentum.
    """
    own = [
        {"params": group.parameters, **group.own(momentum=momentum, weight_decay=weight_decay)}
        for group in groups
    ]
    # By default torch has a loop over the parameters on a CPU, with the same results.
    return torch.optim.SGD(own, lr=lr, momentum=momentum, nesterov=nesterov, foreach=True)
