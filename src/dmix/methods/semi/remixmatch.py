"""ReMixMatch (Berthelot et al., 2020) as in TorchSSL: MixMatch with alignment, strong views, rotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn

from dmix.data.loading.two_streams import TwoStreamBatch, TwoStreamLoader
from dmix.data.send import to_device
from dmix.engine.method import Feeding, Ingredients, Step
from dmix.methods.passes import apart
from dmix.methods.semi.interleave import dealt_out
from dmix.methods.semi.method import SemiMethod
from dmix.methods.semi.mixed_rows import mix_at_random
from dmix.methods.semi.quarter_turns import TURNS, turned
from dmix.methods.semi.ramps import linear
from dmix.methods.semi.row_losses import masked_ce
from dmix.methods.semi.targets import align, certain, follow, probabilities, sharpen
from dmix.part import part


@part
class ReMixMatch(SemiMethod):
    """Mix labelled rows with two strong views and the weak view of unlabelled ones; add an unmixed view.

    Targets are the weak view's distributions, aligned with the class frequencies of labelled images and
    sharpened. As in TorchSSL there is one lam for the batch, and alignment uses predictions' running mean.
    The original has more views, another optimiser and a learned augmentation.

    Settings: `temperature` of the targets; `alpha` of lam = max(l, 1 - l), l ~ Beta(alpha, alpha); `momentum`
    of the running mean; the loss weights `match` of mixed unlabelled rows, `strong` of the unmixed first
    strong view, `rotation` of predicting its rotation; `ramp`, fraction of the run in which the first two
    grow linearly from 0.

    Attributes
    ----------
    rotation_head: features to logits of rotation by 0, 90, 180 and 270 degrees.
    predicted: (C,), running mean of predictions on the weak view. wanted: (C,), class frequencies of labels.
    """

    unlabelled = ("augment", "strong", "strong")
    predicted: Tensor
    wanted: Tensor

    def __init__(
        self,
        ingredients: Ingredients,
        *,
        temperature: Annotated[float, Gt(0)],
        alpha: Annotated[float, Gt(0)],
        momentum: Annotated[float, Ge(0), Lt(1)],
        match: Annotated[float, Ge(0)],
        strong: Annotated[float, Ge(0)],
        rotation: Annotated[float, Ge(0)],
        ramp: Annotated[float, Ge(0), Le(1)],
    ) -> None:
        super().__init__(ingredients)
        self.temperature, self.alpha, self.momentum = temperature, alpha, momentum
        self.match, self.strong, self.rotation, self.ramp = match, strong, rotation, ramp
        self.rotation_head = nn.Linear(self.head.in_features, TURNS)
        nn.init.xavier_normal_(self.rotation_head.weight)  # like all linear layers in TorchSSL
        nn.init.zeros_(self.rotation_head.bias)
        classes = self.head.out_features
        self.register_buffer("predicted", torch.full((classes,), 1 / classes))
        self.register_buffer("wanted", torch.full((classes,), 1 / classes))

    def loader(self, feeding: Feeding) -> TwoStreamLoader:
        """Return the two-stream loader, and store the class frequencies of the labelled images."""
        labels = (
            feeding.split.labels if feeding.labels is None else feeding.split.labels[feeding.labels.labelled]
        )
        counts = np.bincount(labels, minlength=len(self.wanted))
        self.wanted.copy_(torch.from_numpy(counts / len(labels)))
        return super().loader(feeding)

    def losses(self, batch: TwoStreamBatch, step: Step) -> Mapping[str, Tensor]:
        """Return `ce`, `match`, `strong` and `rotation`."""
        assert batch.unlabelled is not None
        weak, first, second = batch.unlabelled.images
        y = batch.labelled.labels
        q = self._targets(probabilities(self.look(weak)), step)
        images = torch.cat([batch.labelled.images[0], first, second, weak])
        mixed = mix_at_random(images, torch.cat([certain(y, q), q, q, q]), self.alpha, step.draws)
        logits = self.head(dealt_out(self.encoder, mixed.images, len(y)))
        turns = to_device(step.draws.host.integers(TURNS, size=len(first)), first.device)
        unmixed = self.head(apart(self.encoder, first, freeze=True))
        rotated = self.rotation_head(apart(self.encoder, turned(first, turns), freeze=True))
        ramp = linear(step.number, self.ramp * step.total)
        return {
            "ce": masked_ce(logits[: len(y)], mixed.targets[: len(y)]),
            "match": self.match * ramp * masked_ce(logits[len(y) :], mixed.targets[len(y) :]),
            "strong": self.strong * ramp * masked_ce(unmixed, q),
            "rotation": self.rotation * masked_ce(rotated, turns),
        }

    def _targets(self, p: Tensor, step: Step) -> Tensor:
        """Update the running mean with p (N, C), and return the unlabelled rows' targets (N, C)."""
        self.predicted.copy_(follow(self.predicted if step.number else None, p, self.momentum))
        return sharpen(align(p, self.wanted, self.predicted), self.temperature)
