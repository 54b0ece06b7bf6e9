"""Base class of the semi-supervised methods."""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.engine.method import Ingredients
from dmix.errors import DmixError
from dmix.methods.passes import apart
from dmix.methods.two_streams import TwoStreamMethod


class SemiMethod(TwoStreamMethod):
    """Base class of the semi-supervised methods. Subclasses write `losses`.

    Both streams are drawn uniformly with replacement. `takes_addon` says whether the method can be combined
    with an add-on.

    Raises
    ------
    DmixError: there is an add-on, but the method cannot be combined with one.
    """

    sampling = "replacement"
    takes_addon = False

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)
        if self.addon is not None and not self.takes_addon:
            raise DmixError(
                f"{type(self).__name__} has no place for mixed batches beside its own",
                "give this method the add-on none, in params.yaml",
            )

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Return the logits (B, C) of unlabelled rows, without gradient or update of running statistics."""
        logits: Tensor = self.head(apart(self.encoder, images, freeze=True))
        return logits
