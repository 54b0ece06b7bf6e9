"""Base class of the transfer methods."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from dmix.data.loading.two_streams import TwoStreamBatch
from dmix.engine.method import Step
from dmix.methods.addons.pseudo import PseudoLabels, pseudo_labels
from dmix.methods.passes import together
from dmix.methods.two_streams import TwoStreamMethod


class TransferMethod(TwoStreamMethod):
    """Minimise the cross-entropy of the clean labelled rows, `own_losses`, and the losses of an add-on.

    Subclasses write `own_losses`. Both streams are shuffled: every image occurs once before any repeats.
    """

    sampling = "shuffled"

    def own_losses(
        self, features: Tensor, batch: TwoStreamBatch
    ) -> tuple[Mapping[str, Tensor], PseudoLabels | None]:
        """Return the method's losses besides the cross-entropy, and its pseudo-classes if it has any.

        Parameters
        ----------
        features: (B, d), of the labelled rows' first view.
        """
        raise NotImplementedError(type(self).__name__)

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`, the method's own losses, and those of the mixed rows."""
        mixed = self.mixed(batch, step)
        batches = (batch.labelled.images[0], *self.joined(mixed))
        features, *of_mixed = together(self.encoder, batches)
        ce = functional.cross_entropy(self.head(features).float(), batch.labelled.labels)
        own, pseudo = self.own_losses(features, batch)
        if mixed is not None and len(mixed.images) > 1 and pseudo is None:
            assert self.addon is not None
            assert batch.unlabelled is not None
            pseudo = self.pseudo(batch.unlabelled.images[self.addon.view])
        return {"ce": ce, **own, **self.mixed_losses(mixed, of_mixed, pseudo, step)}

    @torch.no_grad()
    def pseudo(self, images: Tensor) -> PseudoLabels:
        """Return the clean head's pseudo-classes of unlabelled rows, in training mode as in Self-Tuning."""
        return pseudo_labels(self.head(self.encoder(images)))
