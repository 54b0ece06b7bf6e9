"""Manifold Mixup (Verma et al., 2019): a convex combination of hidden states at a random depth."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Len
from torch import Tensor

from dmix.backbones.backbone import Backbone, HiddenMix
from dmix.data.send import to_device
from dmix.errors import DmixError
from dmix.part import part
from dmix.policies.draw import draw_lam, draw_partner
from dmix.policies.policy import Context, Draws, Mixed, Policy

NO_BLEND = "it mixes hidden states inside the network, not images"


@part
class ManifoldMix(Policy):
    """Mix hidden states, h = lam * h_a + (1 - lam) * h_b, at one layer drawn for each batch.

    Settings: `layers`, of which one is drawn uniformly: 0 is the input (Mixup), k the output of stage k, and
    each must lie before the last stage (up to 3 for a ResNet, 2 for a WideResNet); `alpha` and
    `derangement` as in Mixup.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        layers: Annotated[tuple[Annotated[int, Ge(0)], ...], Len(1)],
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.layers, self.derangement = alpha, layers, derangement

    def attach(self, model: Backbone) -> None:
        """Check that the network has the layers.

        Raises
        ------
        DmixError: a layer does not lie before the network's last stage.
        """
        last = len(model.channels) - 1
        if max(self.layers) > last:
            raise DmixError(
                f"policy.layers names layer {max(self.layers)}, but the backbone has {last + 1} stages",
                f"use layers from 0 (the input) to {last} (before the last stage)",
            )

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Return the unmixed images with the layer, partners and lam for the model to mix by."""
        n = len(labels)
        # Drawn in Mixup's order, so that layer 0 equals Mixup.
        lam = to_device(draw_lam(draws.host, self.alpha, n), images.device)
        partner = to_device(draw_partner(draws.host, n, self.derangement), images.device)
        layer = self.layers[draws.host.integers(len(self.layers))]
        return Mixed(
            images=images,
            y_a=labels,
            y_b=labels[partner],
            lam=lam,
            hidden=HiddenMix(layer, partner, lam),
        )
