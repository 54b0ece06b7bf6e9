"""ResizeMix (Qin et al., 2020): the whole partner, made small, is pasted into the image."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt
from torch import Tensor

from dmix.data.send import to_device
from dmix.part import part
from dmix.policies.box import box_around, box_within, paste
from dmix.policies.draw import draw_partner, group_of_row
from dmix.policies.policy import Context, Draws, Mixed, Policy

TAU_MIN, TAU_MAX = 0.1, 0.8


@part
class ResizeMix(Policy):
    """Shrink the partner by tau in [0.1, 0.8], one draw per group of rows; lam is the share of own pixels.

    Settings: tau ~ Beta(alpha, alpha), redrawn from U(0.1, 0.8) where outside of it. `placement` "clipped"
    (OpenMixup) clips a box at the borders, with one centre per group, and squeezes the partner into what is
    left of it; "inside" (the method's own code) shifts the box into the image, with a centre for every row.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        placement: Literal["clipped", "inside"],
        lam_groups: Annotated[int, Ge(1)] = 1,
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.placement = alpha, placement
        self.lam_groups, self.derangement = lam_groups, derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Paste each partner, resized to its box; lam is 1 where the box is empty."""
        n, _, height, width = images.shape
        boxes = to_device(self.draw_boxes(draws.host, n, height, width), images.device)
        partner = to_device(draw_partner(draws.host, n, self.lam_groups, self.derangement), images.device)
        return paste(images, resize_into(images, partner, boxes), labels, labels[partner], boxes)

    def draw_boxes(self, rng: np.random.Generator, n: int, height: int, width: int) -> Tensor:
        """Return boxes (n, 4) on the host: tau per group of rows, the centre as the placement says."""
        group = group_of_row(n, self.lam_groups)
        tau = torch.from_numpy(draw_tau(rng, self.alpha, self.lam_groups)[group])
        if self.placement == "clipped":
            centre_x = torch.from_numpy(rng.integers(width, size=self.lam_groups)[group])
            centre_y = torch.from_numpy(rng.integers(height, size=self.lam_groups)[group])
            return box_around(centre_x, centre_y, tau, height, width)
        centre_x = torch.from_numpy(rng.integers(width, size=n))
        centre_y = torch.from_numpy(rng.integers(height, size=n))
        return box_within(centre_x, centre_y, tau, height, width)


def draw_tau(rng: np.random.Generator, alpha: float, size: int) -> npt.NDArray[np.float64]:
    """Return the partners' scales, (size,): Beta(alpha, alpha) inside [0.1, 0.8], else uniform there."""
    tau = rng.beta(alpha, alpha, size=size)
    uniform = rng.uniform(TAU_MIN, TAU_MAX, size=size)
    return np.where((tau < TAU_MIN) | (tau > TAU_MAX), uniform, tau)


def resize_into(images: Tensor, partner: Tensor, boxes: Tensor) -> Tensor:
    """Return each row's partner resized to the row's box and placed there, (N, C, H, W).

    Nearest neighbour: pixel i of a side of `out` pixels shows pixel floor(i * in / out). Outside the boxes
    the partner's border is repeated; an empty box shows none of it.
    """
    height, width = images.shape[2:]
    rows = source_pixels(boxes[:, 1], boxes[:, 3], height)
    columns = source_pixels(boxes[:, 0], boxes[:, 2], width)
    resized = images[partner.view(-1, 1, 1), :, rows.unsqueeze(2), columns.unsqueeze(1)]
    return resized.permute(0, 3, 1, 2)


def source_pixels(start: Tensor, end: Tensor, side: int) -> Tensor:
    """Return which of `side` pixels each pixel shows, (n, side), when all are squeezed into [start, end)."""
    offset = torch.arange(side, device=start.device) - start.unsqueeze(1)
    length = (end - start).clamp(min=1).unsqueeze(1)
    return (offset * side // length).clamp(0, side - 1)
