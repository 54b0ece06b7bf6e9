"""The contract of backbones: stages and a head, with mixing of hidden states between stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class HiddenMix:
    """Mix hidden states after stage `layer`, where 0 is the input."""

    layer: int
    partner: Tensor  # (N,) int64: row i is mixed with row partner[i]
    lam: Tensor  # (N,) weight of the own row

    def apply(self, hidden: Tensor) -> Tensor:
        """Return lam * h + (1 - lam) * h[partner] for (N, ...) states."""
        lam = self.lam.to(hidden.dtype).view(-1, *([1] * (hidden.dim() - 1)))
        return lam * hidden + (1 - lam) * hidden[self.partner]


class Backbone(nn.Module):
    """Base class of backbones: stem -> stages -> head. Hidden mixing is done here, not in subclasses.

    Subclasses set these three, or override `walk` if their stages are not modules of their own. `channels` is
    the number of channels of every stage's output.
    """

    channels: tuple[int, ...]
    stem: nn.Module
    stages: nn.ModuleList
    head: nn.Module

    def features(self, images: Tensor, hidden: HiddenMix | None = None) -> list[Tensor]:
        """Return the output of every stage for (N, 3, H, W) images."""
        states: list[Tensor] = []

        def reached(state: Tensor) -> Tensor:
            mixed = hidden.apply(state) if hidden and hidden.layer == len(states) else state
            states.append(mixed)
            return mixed

        self.walk(images, reached)
        return states[1:]

    def walk(self, images: Tensor, reached: Callable[[Tensor], Tensor]) -> None:
        """Run all stages; replace the images and each stage's output by what `reached` returns for them."""
        state = self.stem(reached(images))
        for stage in self.stages:
            state = reached(stage(state))

    def as_map(self, feature: Tensor) -> Tensor:
        """Return a stage's output as a map (N, c, h, w). Networks with tokens override this."""
        return feature

    def published_name(self, name: str) -> str:
        """Return the name that the state dict's tensor `name` has in published weight files."""
        return name

    def forward(self, images: Tensor, hidden: HiddenMix | None = None) -> Tensor:
        """Return logits (N, classes)."""
        logits: Tensor = self.head(self.features(images, hidden)[-1])
        return logits
