"""Parameter groups for Adam-like optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dmix.backbones.parameter_group import ParameterGroup


def adam_groups(
    groups: Sequence[ParameterGroup], weight_decay: float, momentum: float, beta2: float, eps: float
) -> list[dict[str, Any]]:
    """Return torch's parameter groups; `momentum` is beta1, the decay of the gradient's mean."""
    found = []
    for group in groups:
        own = group.own(momentum=momentum, beta2=beta2, eps=eps, weight_decay=weight_decay)
        betas = (own.pop("momentum"), own.pop("beta2"))
        found.append({"params": group.parameters, "betas": betas, **own})
    return found
