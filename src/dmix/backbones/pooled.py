"""A backbone in two pieces: what turns images into features, and its classifier."""

from __future__ import annotations

import copy

from torch import nn

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError


def pooled(model: Backbone) -> tuple[Backbone, nn.Linear]:
    """Return the encoder and the classifier of `model`, which computes classifier(encoder(images)).

    The encoder is the backbone without its last linear layer: it returns features (N, d) of (N, 3, H, W).
    Both pieces share the backbone's modules, under the names that they have there; nothing is copied.

    Raises
    ------
    DmixError: the backbone's head is no sequence that ends with a linear layer.
    """
    head = model.head
    if not isinstance(head, nn.Sequential) or len(head) == 0 or not isinstance(head[-1], nn.Linear):
        raise DmixError(
            f"{type(model).__name__} has no features (N, d): its head does not end with a linear layer",
            "choose a backbone whose head does, such as resnet, in params.yaml",
        )
    encoder = copy.copy(model)
    encoder._modules = {**model._modules, "head": head[:-1]}  # a table of its own, of the same modules
    return encoder, head[-1]
