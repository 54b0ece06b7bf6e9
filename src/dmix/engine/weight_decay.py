"""What weight decay leaves alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from torch import nn

from dmix.backbones.parameter_group import ParameterGroup

EMBEDDINGS = ("cls_token", "pos_embed", "relative_position_bias_table")
"""Last part of the names of parameters that are neither weights nor biases: timm's, of ViT and Swin."""


def exempt_from_decay(
    groups: Iterable[ParameterGroup],
    named: Iterable[tuple[str, nn.Parameter]],
    exempt: Literal["nothing", "vectors", "vectors_and_embeddings"],
) -> list[ParameterGroup]:
    """Return `groups` with each one's exempt parameters in a group of their own behind it, of weight decay 0.

    Parameters
    ----------
    named: at least the parameters of the groups, with their names.
    exempt: "vectors" are the parameters of one dimension (of norms, too) and the biases;
        "vectors_and_embeddings" also the class token, position embeddings and tables of position biases.
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
        spared = tuple(p for p in group.parameters if is_exempt(p))
        parts = (
            ParameterGroup(decayed, group.settings),
            ParameterGroup(spared, {**group.settings, "weight_decay": 0.0}),
        )
        found += [part for part in parts if part.parameters]
    return found
