"""Groups of parameters with optimiser settings of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters, and the settings that differ for them from the recipe's.

    Settings can be the recipe's `lr` and `weight_decay`, those of its optimiser (`momentum`) and its schedule
    (`lr_end`), and `lr_factor`, by which the scheduled rate is multiplied. A setting that neither the
    optimiser nor the schedule has is ignored.
    """

    parameters: tuple[nn.Parameter, ...]
    settings: Mapping[str, float]

    def own(self, **usual: float) -> dict[str, float]:
        """Return the `usual` settings, replaced by this group's settings of the same names."""
        return {key: self.settings.get(key, value) for key, value in usual.items()}


def with_rest(parameters: Iterable[nn.Parameter], groups: Iterable[ParameterGroup]) -> list[ParameterGroup]:
    """Return a group of the trainable `parameters` in none of `groups`, without own settings, then `groups`.

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
