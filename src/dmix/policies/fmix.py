"""FMix (Harris et al., 2020): masks of random shape, thresholded from low-frequency noise."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.draw import Floats, Ints, draw_lam, draw_partner
from dmix.policies.policy import Blend, Context, Draws, Mixed, Policy


@part
class FMix(Policy):
    """Keep the pixels where a smooth random field is highest; all rows have one mask.

    The label weight is the drawn lam; the mask's mean differs from it by less than one pixel.

    Settings: `alpha`, lam ~ Beta(alpha, alpha); `decay`, the power of the frequency that divides the noise's
    amplitude; `soft_edge`, the share of all pixels, ranked by the field, over which the mask falls on either
    side of the cut (0 is a hard edge), limited to min(lam, 1 - lam); `derangement`, see `dmix.policies.draw`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        decay: Annotated[float, Ge(0)],
        soft_edge: Annotated[float, Interval(ge=0, le=0.5)] = 0.0,
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.decay, self.soft_edge = alpha, decay, soft_edge
        self.derangement = derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix by one mask."""
        n, device = len(labels), images.device
        lam = draw_lam(draws.host, self.alpha, n)
        mask = self.draw_masks(lam[:1], draws, images).repeat(n, 1, 1, 1)
        b = to_device(draw_partner(draws.host, n, self.derangement), device)
        return Mixed(
            images=mask * images + (1 - mask) * images[b],
            y_a=labels,
            y_b=labels[b],
            lam=to_device(lam, device),
            mask=mask,
        )

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam of each row, (n,)."""
        return draw_lam(draws.host, self.alpha, n)

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Mix by one mask, whose mean is lam to less than one pixel."""
        del context
        mask = self.draw_masks(lam[:1], draws, own).repeat(len(own), 1, 1, 1)
        return Blend(mask * own + (1 - mask) * partner, to_device(lam, own.device), mask)

    def draw_masks(self, lam: Floats, draws: Draws, images: Tensor) -> Tensor:
        """Return a mask for each lam (n,): (n, 1, H, W), in the size and dtype of images (N, 3, H, W)."""
        height, width = images.shape[2:]
        device = images.device
        kept = to_device(draw_kept(draws.host, lam, height * width), device)
        soft = to_device(soft_pixels(self.soft_edge, lam, height * width), device)
        noise = torch.randn(len(lam), height, width, generator=draws.device, device=device)
        return keep_highest(low_frequency(noise, self.decay), kept, soft).to(images.dtype).unsqueeze(1)


def draw_kept(rng: np.random.Generator, lam: Floats, pixels: int) -> Ints:
    """Return the pixels each mask keeps, int64 like lam: floor or ceil of lam * pixels with equal odds."""
    exact = lam.astype(np.float64) * pixels
    kept: Ints = np.where(rng.random(lam.shape) < 0.5, np.floor(exact), np.ceil(exact)).astype(np.int64)
    return kept


def soft_pixels(soft_edge: float, lam: Floats, pixels: int) -> Ints:
    """Return the number of pixels of the soft edge on either side of the cut, int64, in the shape of lam."""
    limited = np.minimum(soft_edge, np.minimum(lam, 1 - lam).astype(np.float64))
    soft: Ints = np.floor(limited * pixels).astype(np.int64)
    return soft


def low_frequency(noise: Tensor, decay: float) -> Tensor:
    """Return white noise (n, H, W) with its spectrum divided by max(f, 1 / max(H, W)) ** decay.

    f is in cycles per pixel, so that the field is isotropic on images that are not square, too.
    """
    height, width = noise.shape[1:]
    f_y = torch.fft.fftfreq(height, device=noise.device).view(-1, 1)
    f_x = torch.fft.rfftfreq(width, device=noise.device)
    f = torch.hypot(f_y, f_x).clamp(min=1 / max(height, width))
    field: Tensor = torch.fft.irfft2(torch.fft.rfft2(noise) * f.pow(-decay), s=(height, width))
    return field


def keep_highest(field: Tensor, kept: Tensor, soft: Tensor) -> Tensor:
    """Return weights (n, H, W) float32 in [0, 1] that sum to `kept`: 1 where the field is highest.

    Parameters
    ----------
    field: (n, H, W) float.
    kept: (n,) int64, number of pixels of weight 1 for a hard edge.
    soft: (n,) int64, ranks on either side of the cut over which the weight falls linearly from 1 to 0.
    """
    rank = field.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    before_cut = kept.view(-1, 1) - 0.5 - rank
    weight = 0.5 + before_cut / (2 * soft - 1).clamp(min=1).view(-1, 1)
    return weight.clamp(0, 1).view(field.shape)
