"""What a backbone is: a stem, stages and a head, with a door for mixing hidden states."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class HiddenMix:
    """Where and how a model mixes hidden states: after stage `layer`, where 0 is the input."""

    layer: int
    partner: Tensor  # (N,) int64: row i is mixed with row partner[i]
    lam: Tensor  # (N,) weight of the own row

    def apply(self, hidden: Tensor) -> Tensor:
        """Return lam * h + (1 - lam) * h[partner] for (N, ...) states."""
        lam = self.lam.to(hidden.dtype).view(-1, *([1] * (hidden.dim() - 1)))
        return lam * hidden + (1 - lam) * hidden[self.partner]


class Backbone(nn.Module):
    """A network as stem -> stages -> head. Subclasses fill the three and say nothing of mixing.

    `channels` is the number of channels of every stage's output.
    """

    channels: tuple[int, ...]
    stem: nn.Module
    stages: nn.ModuleList
    head: nn.Module

    def features(self, images: Tensor, hidden: HiddenMix | None = None) -> list[Tensor]:
        """Return the output of every stage for (N, 3, H, W) images."""
        h = hidden.apply(images) if hidden and hidden.layer == 0 else images
        h = self.stem(h)
        outputs = []
        for number, stage in enumerate(self.stages, start=1):
            h = stage(h)
            if hidden and hidden.layer == number:
                h = hidden.apply(h)
            outputs.append(h)
        return outputs

    def as_map(self, feature: Tensor) -> Tensor:
        """Return a stage's output as a map (N, c, h, w); networks whose stages give tokens override this."""
        return feature

    def forward(self, images: Tensor, hidden: HiddenMix | None = None) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self.head(self.features(images, hidden)[-1])
        return logits
