"""Exempt parameters from weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

from dmix.backbones.parameter_group import ParameterGroup

EMBEDDINGS = ("cls_token", "pos_embed", "relative_position_bias_table")
"""Last component of the names of embeddings and position biases in timm's ViT and Swin."""


def exempt_from_decay(
    groups: Iterable[ParameterGroup],
    named: Iterable[tuple[str, nn.Parameter]],
    exempt: Literal["nothing", "vectors", "vectors_and_embeddings"],
) -> list[ParameterGroup]:
    """Return `groups`, each followed by a group of weight decay 0 with its exempt parameters, if it has any.

    Parameters
    ----------
    named: at least the parameters of the groups, with their names.
    exempt: "vectors" exempts one-dimensional parameters (norms) and biases; "vectors_and_embeddings" also the
        class token, position embeddings and tables of position biases.
    """
    if exempt == "nothing":
        return list(groups)
    names = {parameter: name.rpartition(".")[2] for name, parameter in named}

    def is_exempt(parameter: nn.Parameter) -> bool:
        name = names[parameter]
        vector = parameter.ndim <= 1 or name == "bias"
        return vector or (exempt == "vectors_and_embeddings" and name in EMBEDDINGS)

    found: list[ParameterGroup] = []
    for group in groups:
        decayed = tuple(p for p in group.parameters if not is_exempt(p))
        exempted = tuple(p for p in group.parameters if is_exempt(p))
        both = (
            ParameterGroup(decayed, group.settings),
            ParameterGroup(exempted, {**group.settings, "weight_decay": 0.0}),
        )
        found += [one for one in both if one.parameters]
    return found
