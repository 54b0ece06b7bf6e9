"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt

from dmix.backbones.parameter_group import ParameterGroup
from dmix.engine.optimizers.adam_groups import adam_groups
from dmix.part import part


@part
def adamw(
    groups: Sequence[ParameterGroup],
    lr: float,
    weight_decay: float,
    *,
    momentum: Annotated[float, Ge(0), Lt(1)],
    beta2: Annotated[float, Gt(0), Lt(1)],
    eps: Annotated[float, Gt(0)],
) -> torch.optim.Optimizer:
    """Return torch's AdamW.

    Settings: `momentum` and `beta2`, decay of the running means of the gradient and of its square; `eps`,
    added to the root of the latter.
    """
    own = adam_groups(groups, weight_decay, momentum, beta2, eps)
    # By default torch has a loop over the parameters on a CPU, with the same results.
    return torch.optim.AdamW(own, lr=lr, foreach=True)
