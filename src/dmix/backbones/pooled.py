"""A backbone in two pieces: what turns images into features, and its classifier."""

from __future__ import annotations

from torch import nn

from dmix.backbones.backbone import Backbone
from dmix.errors import DmixError


class Encoder(Backbone):
    """All of a backbone but its last linear layer, whose input it returns: features (N, d) of (N, 3, H, W).

    It shares the backbone's modules, under the names that they have there, and holds no classifier.

    Raises
    ------
    DmixError: the backbone's head is no sequence that ends with a linear layer.
    """

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        head = model.head
        if not isinstance(head, nn.Sequential) or len(head) == 0 or not isinstance(head[-1], nn.Linear):
            raise DmixError(
                f"{type(model).__name__} has no features (N, d): its head does not end with a linear layer",
                "choose a backbone whose head does, such as resnet, in params.yaml",
            )
        self.channels = model.channels
        self.stem = model.stem
        self.stages = model.stages
        self.head = head[:-1]


def pooled(model: Backbone) -> tuple[Encoder, nn.Linear]:
    """Return the two pieces of `model`, which computes classifier(encoder(images)); nothing is copied.

    Raises
    ------
    DmixError: see `Encoder`.
    """
    encoder = Encoder(model)
    classifier: nn.Linear = model.head[-1]  # type: ignore[index]
    return encoder, classifier
