"""Split a backbone into an encoder and its classifier."""

from __future__ import annotations

import copy

from torch import nn

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError


def pooled(model: Backbone) -> tuple[Backbone, nn.Linear]:
    """Return the encoder and the classifier of `model`, which computes classifier(encoder(images)).

    The encoder is the backbone without its last linear layer, images (N, 3, H, W) to features (N, d). Both
    share the backbone's modules, under the same names; nothing is copied.

    Raises
    ------
    DmixError: the backbone's head is not a sequence that ends with a linear layer.
    """
    head = model.head
    if not isinstance(head, nn.Sequential) or len(head) == 0 or not isinstance(head[-1], nn.Linear):
        raise DmixError(
            f"{type(model).__name__} has no features (N, d): its head does not end with a linear layer",
            "choose a backbone whose head does, such as resnet, in params.yaml",
        )
    encoder = copy.copy(model)
    encoder._modules = {**model._modules, "head": head[:-1]}  # a new dict of the same modules
    return encoder, head[-1]
