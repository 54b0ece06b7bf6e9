"""The mixers of AutoMix (Liu et al., 2022) and SAMix (Li et al., 2021): from two feature maps to a mask.

In both, every position of the own feature map attends to all positions of the partner's, each of which has a
value from a small network. The attended value is the logit of the partner's weight at that position.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mixer(nn.Module):
    """Base class of mixers. Subclasses write `mask_logits`, at the resolution of the feature maps."""

    upsampling: str

    def mask_logits(self, own: Tensor, other: Tensor, lam: float) -> Tensor:
        """Return the logits of the partner's weight, (N, 1, h, w), from feature maps (N, c, h, w)."""
        raise NotImplementedError(type(self).__name__)

    def forward(self, features: Tensor, partner: Tensor, lam: float, size: tuple[int, int]) -> Tensor:
        """Return the weight of the partner's pixels, (N, 1, H, W) in [0, 1], float32 or wider.

        The logits are upsampled, not the mask, so that its edges stay as steep as a sigmoid's.

        Parameters
        ----------
        features: (N, c, h, w) floating. partner: (N,) int64, row i is mixed with row partner[i].
        lam: weight of the own image in [0, 1]. size: (H, W) of the images.
        """
        # In half precision, attention over hundreds of channels overflows or loses the softmax's tail.
        with torch.autocast(features.device.type, enabled=False):
            own = features if features.dtype == torch.float64 else features.float()
            logits = self.mask_logits(own, own[partner], lam)
            return functional.interpolate(logits, size, mode=self.upsampling).sigmoid()


class AutoMixer(Mixer):
    """AutoMix's mixer: one embedding for queries and keys, a linear value.

    With `lam_channel`, the own map gets a constant channel lam and the partner's a channel 1 - lam.
    """

    upsampling = "nearest"

    def __init__(self, channels: int, *, lam_channel: bool) -> None:
        super().__init__()
        self.lam_channel = lam_channel
        inputs = channels + int(lam_channel)
        self.embedding = nn.Conv2d(inputs, channels // 2, 1)
        self.value = nn.Conv2d(inputs, 1, 1)
        initialise(self)

    def mask_logits(self, own: Tensor, other: Tensor, lam: float) -> Tensor:
        """Attend from the own to the partner's embedding."""
        if self.lam_channel:
            own, other = append_channel(own, lam), append_channel(other, 1 - lam)
        return attend(self.embedding(own), self.embedding(other), self.value(other))


class SAMixer(Mixer):
    """SAMix's mixer: lam scales both feature maps, queries and keys are of both, the value is non-linear.

    `residual` is the k of `rescale`; `dropout` is the probability of dropping a position's value.
    """

    upsampling = "bilinear"

    def __init__(self, channels: int, *, residual: float, dropout: float) -> None:
        super().__init__()
        inner = channels // 2
        self.residual = residual
        self.query = nn.Conv2d(2 * channels, inner, 1)
        self.key = nn.Conv2d(2 * channels, inner, 1)
        self.value = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ELU(),
            nn.Conv2d(inner, 1, 1, bias=False),
            nn.Dropout(dropout),
        )
        initialise(self)

    def mask_logits(self, own: Tensor, other: Tensor, lam: float) -> Tensor:
        """Attend from a query to a key embedding, both of the concatenated maps."""
        share = rescale(lam, self.residual)
        own, other = own * (1 + share), other * (2 - share)
        both = torch.cat([own, other], dim=1)
        return attend(self.query(both), self.key(both), self.value(other))


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return softmax(Q^T K / sqrt(d)) V as a map, (N, 1, h, w): each query's weights over keys sum to 1.

    Parameters
    ----------
    query, key: (N, d, h, w). value: (N, 1, h, w), one for each key.
    """
    q, k, v = (tokens.flatten(2).transpose(1, 2) for tokens in (query, key, value))
    attention = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return (attention @ v).view_as(value)


def append_channel(features: Tensor, constant: float) -> Tensor:
    """Return (N, c + 1, h, w): `features` and a channel of one constant."""
    return torch.cat([features, torch.full_like(features[:, :1], constant)], dim=1)


def rescale(lam: float, residual: float) -> float:
    """Return SAMix's r_k(lam) = (4/3 lam^3 - 2 lam^2 + (k + 1) lam) / (k + 1/3), or lam itself for k = -1.

    It maps 0, 1/2 and 1 to themselves and, for k >= 0, does not decrease; smaller k is flatter at 1/2.
    """
    if residual == -1:
        return lam
    return (4 / 3 * lam**3 - 2 * lam**2 + (residual + 1) * lam) / (residual + 1 / 3)


def initialise(mixer: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.01^2) and set biases to 0, so that initial masks are about 1/2."""
    for module in mixer.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
