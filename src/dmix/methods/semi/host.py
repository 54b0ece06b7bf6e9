"""What the semi-supervised methods share beside `dmix.methods.two_streams`."""

from __future__ import annotations

import torch
from torch import Tensor

from dmix.engine.method import Ingredients
from dmix.errors import DmixError
from dmix.methods.passes import apart
from dmix.methods.two_streams import TwoStreams


class SemiHost(TwoStreams):
    """Base of the semi-supervised methods; subclasses write `losses`.

    Both streams are drawn uniformly with replacement. `takes_pairs` says whether mixed batches can stand
    beside those of the method.

    Raises
    ------
    DmixError: there is a pairing, which the method has no use for.
    """

    sampling = "replacement"
    takes_pairs = False

    def __init__(self, ingredients: Ingredients) -> None:
        super().__init__(ingredients)
        if self.pairing is not None and not self.takes_pairs:
            raise DmixError(
                f"{type(self).__name__} has no place for mixed batches beside its own",
                "give this method a policy that mixes nothing, such as vanilla, in params.yaml",
            )

    @torch.no_grad()
    def look(self, images: Tensor) -> Tensor:
        """Return the logits (B, C) of unlabelled rows, which leave neither gradients nor statistics."""
        logits: Tensor = self.head(apart(self.encoder, images, freeze=True))
        return logits
