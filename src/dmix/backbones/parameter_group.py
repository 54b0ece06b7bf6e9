"""Parameters that are optimised otherwise than the recipe says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters, and the keys of the recipe that differ for them.

    Those that can: lr, lr_end, warmup_epochs, warmup_start, momentum, beta2, eps and weight_decay; and
    lr_factor, by which the scheduled rate is multiplied.
    """

    parameters: tuple[nn.Parameter, ...]
    settings: Mapping[str, float]


def with_rest(parameters: Iterable[nn.Parameter], groups: Iterable[ParameterGroup]) -> list[ParameterGroup]:
    """Return first the trainable `parameters` that are in none of `groups`, as the recipe says, then those.

    Raises
    ------
    ValueError: a parameter is in two of the groups.
    """
    groups = list(groups)
    taken = [id(parameter) for group in groups for parameter in group.parameters]
    if len(set(taken)) != len(taken):
        raise ValueError("a parameter is in two parameter groups")
    rest = tuple(p for p in parameters if p.requires_grad and id(p) not in taken)
    return [ParameterGroup(rest, {}), *groups]
