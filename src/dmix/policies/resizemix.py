"""ResizeMix (Qin et al., 2020): paste the resized partner into the image."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.box import box_around, box_within, cut_ratio, paste, paste_smaller
from dmix.policies.draw import Floats, draw_partner
from dmix.policies.policy import Blend, Context, Draws, Mixed, Policy

TAU_MIN, TAU_MAX = 0.1, 0.8


@part
class ResizeMix(Policy):
    """Resize the partner by a factor tau in [0.1, 0.8] and paste it; lam is the share of own pixels.

    Settings: `alpha`, tau ~ Beta(alpha, alpha), redrawn from U(0.1, 0.8) if outside that range; `placement`,
    "clipped" (OpenMixup: the box has one centre, is clipped at the borders, and the partner is
    resized to what is left) or "inside" (ResizeMix's own code: each row's box has its own centre and is
    shifted into the image); `derangement`, see `dmix.policies.draw`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        placement: Literal["clipped", "inside"],
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.placement, self.derangement = alpha, placement, derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Paste each partner, resized to its box; lam is 1 where the box is empty."""
        n, _, height, width = images.shape
        boxes = self.draw_boxes(draws.host, self._draw_tau(n, draws), height, width)
        boxes = to_device(boxes, images.device)
        b = to_device(draw_partner(draws.host, n, self.derangement), images.device)
        blend = paste(images, resize_into(images, b, boxes), boxes)
        return Mixed(blend.images, labels, labels[b], blend.lam, blend.mask)

    def draw_shares(self, n: int, draws: Draws) -> Floats:
        """Return lam = 1 - tau^2 of each row before its box is clipped, (n,)."""
        shares: Floats = (1 - self._draw_tau(n, draws) ** 2).astype(np.float32)
        return shares

    def blend(self, own: Tensor, partner: Tensor, lam: Floats, draws: Draws, context: Context) -> Blend:
        """Paste the image of the smaller share, resized, into the other; see `paste_smaller`."""
        height, width = own.shape[2:]

        def paste_resized(larger: Tensor, smaller: Tensor, share: Floats) -> Blend:
            tau = cut_ratio(share).numpy()
            boxes = to_device(self.draw_boxes(draws.host, tau, height, width), own.device)
            rows = torch.arange(len(own), device=own.device)
            return paste(larger, resize_into(smaller, rows, boxes), boxes)

        return paste_smaller(own, partner, lam, paste_resized)

    def _draw_tau(self, n: int, draws: Draws) -> npt.NDArray[np.float64]:
        return draw_tau(draws.host, self.alpha, 1).repeat(n)

    def draw_boxes(
        self, rng: np.random.Generator, tau: npt.NDArray[np.float64], height: int, width: int
    ) -> Tensor:
        """Return boxes (n, 4) on the host, with sides tau (n,) of the image's, placed by `placement`."""
        n, scale = len(tau), torch.from_numpy(tau)
        if self.placement == "clipped":
            centre_x = torch.from_numpy(rng.integers(width, size=1).repeat(n))
            centre_y = torch.from_numpy(rng.integers(height, size=1).repeat(n))
            return box_around(centre_x, centre_y, scale, height, width)
        centre_x = torch.from_numpy(rng.integers(width, size=n))
        centre_y = torch.from_numpy(rng.integers(height, size=n))
        return box_within(centre_x, centre_y, scale, height, width)


def draw_tau(rng: np.random.Generator, alpha: float, size: int) -> npt.NDArray[np.float64]:
    """Return tau ~ Beta(alpha, alpha), (size,); values outside [0.1, 0.8] are redrawn from U(0.1, 0.8)."""
    tau = rng.beta(alpha, alpha, size=size)
    uniform = rng.uniform(TAU_MIN, TAU_MAX, size=size)
    return np.where((tau < TAU_MIN) | (tau > TAU_MAX), uniform, tau)


def resize_into(images: Tensor, partner: Tensor, boxes: Tensor) -> Tensor:
    """Return each row's partner resized to the row's box and placed there, (N, C, H, W).

    Nearest neighbour: pixel i of a side of `out` pixels is pixel floor(i * in / out). Outside the boxes, the
    partner's border is repeated.
    """
    height, width = images.shape[2:]
    rows = source_pixels(boxes[:, 1], boxes[:, 3], height)
    columns = source_pixels(boxes[:, 0], boxes[:, 2], width)
    resized = images[partner.view(-1, 1, 1), :, rows.unsqueeze(2), columns.unsqueeze(1)]
    return resized.permute(0, 3, 1, 2)


def source_pixels(start: Tensor, end: Tensor, side: int) -> Tensor:
    """Return the source pixel of each pixel, (n, side), if `side` pixels are resized into [start, end)."""
    offset = torch.arange(side, device=start.device) - start.unsqueeze(1)
    length = (end - start).clamp(min=1).unsqueeze(1)
    return (offset * side // length).clamp(0, side - 1)
