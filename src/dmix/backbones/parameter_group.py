"""Parameters that are optimised otherwise than the recipe says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters, and the settings that differ for them.

    Those that can: `lr` and `weight_decay` of the recipe, the settings of its optimiser (`momentum`) and of
    its schedule (`lr_end`), and `lr_factor`, by which the scheduled rate is multiplied. A setting that
    neither of both parts has changes nothing.
    """

    parameters: tuple[nn.Parameter, ...]
    settings: Mapping[str, float]

    def own(self, **usual: float) -> dict[str, float]:
        """Return the `usual` settings, each replaced by this group's where it has one of that name."""
        return {key: self.settings.get(key, value) for key, value in usual.items()}


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
