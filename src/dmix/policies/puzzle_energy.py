"""PuzzleMix's energy: the cost of a mask that shows one of two images in each block (Kim et al., 2020, 3).

Both images of a pair are cut into b x b blocks, and each block gets a label l in {0..m-1}: the mixed image
has the share 1 - l / (m - 1) of image 1 there, and the rest of image 2. All N pairs are computed at once, on
their device, in the floating-point type of the saliency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

PRIOR_FLOOR = 1e-8  # added to the binomial probability of a label, so that costs are finite at lam 0 and 1


@dataclass(frozen=True)
class Energy:
    """E(l) = sum over blocks of unary[l] + sum over edges of w * (l_u - l_v)^2 / (m - 1)^2.

    Attributes
    ----------
    unary: (N, m, b, b) float, cost of every label in every block.
    down: (N, b - 1, b) float >= 0, w of the edge between a block and the one below it.
    right: (N, b, b - 1) float >= 0, w of the edge between a block and the one to its right.
    """

    unary: Tensor
    down: Tensor
    right: Tensor

    def of(self, labels: Tensor) -> Tensor:
        """Return the energies (..., N) of labellings (..., N, b, b) int64."""
        unary = self.unary.expand(*labels.shape[:-3], *self.unary.shape)
        blocks = unary.gather(-3, labels.unsqueeze(-3)).sum((-3, -2, -1))
        share = labels.to(unary.dtype) / (unary.shape[-3] - 1)
        vertical = self.down * share.diff(dim=-2).square()
        horizontal = self.right * share.diff(dim=-1).square()
        return blocks + vertical.sum((-2, -1)) + horizontal.sum((-2, -1))


def puzzle_energy(
    saliency: Tensor,
    pixels: Tensor,
    partner: Tensor,
    lam: Tensor,
    *,
    blocks: int,
    levels: int,
    beta: float,
    gamma: float,
    eta: float,
    edge_pool: int,
) -> Energy:
    """Return the energy of mixing every row with its partner.

    Parameters
    ----------
    saliency: (N, H, W) float >= 0, of any scale.
    pixels: (N, C, H, W) float in [0, 1].
    partner: (N,) int64.
    lam: (N,) float in [0, 1], the prior's mean share of the own image.
    blocks: b, a divisor of H and W.
    levels: m, number of labels.
    beta, gamma, eta: weights of the smoothness, of the pixel term in it (at most 1), and of the prior.
    edge_pool: pixels are averaged over this number of rows and columns before they are compared; over the
        next smaller number that divides a block's side, if this one does not.
    """
    rows, columns = (largest_divisor(side // blocks, edge_pool) for side in pixels.shape[-2:])
    pooled = avg_pool2d(pixels, (rows, columns))
    smoothness = beta / (16 * blocks)
    down = smoothness * gamma * seam_costs(pooled, partner, blocks)
    right = smoothness * gamma * seam_costs(pooled.mT, partner, blocks)  # from here on, transposed

    own = block_shares(saliency, (blocks, blocks))
    cost = torch.stack([own[partner], own], 1)  # showing image 1 loses the saliency of image 2
    for seams, across in ((down, cost), (right, cost.mT)):
        across[:, :, :-1] += seams.mean(2)
        across[:, :, 1:] += seams.mean(1)
    share = torch.linspace(1, 0, levels, dtype=cost.dtype, device=cost.device).view(-1, 1, 1)
    mixed = share * cost[:, :1] + (1 - share) * cost[:, 1:]
    prior = eta / blocks**2 * prior_costs(lam.to(cost.dtype), levels)
    # Weights are positive for pixels in [0, 1]; the clamp keeps the energy convex for other pixels.
    return Energy(
        unary=mixed + prior[:, :, None, None],
        down=(smoothness + contrast(down)).clamp_min(0),
        right=(smoothness + contrast(right)).clamp_min(0).mT,
    )


def block_shares(saliency: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return each block's share of its image's saliency, (N, rows, columns) of sum 1, for (N, H, W).

    The shares are equal where the saliency is zero everywhere, and where it is not finite: a diverged network
    is to be reported by its loss, not by an index out of range here.
    """
    rows, columns = grid
    _, height, width = saliency.shape
    pooled = avg_pool2d(saliency, (height // rows, width // columns))
    total = pooled.sum((1, 2), keepdim=True)
    return torch.where((total > 0) & (total < math.inf), pooled / total, 1 / (rows * columns))


def seam_costs(pooled: Tensor, partner: Tensor, blocks: int) -> Tensor:
    """Return the differences of vertical neighbours, (N, 2, 2, b - 1, b), by image above and image below.

    Index 0 is the own image and 1 the partner. The difference is the mean absolute one between the last
    pooled row of the upper and the first of the lower block, over channels and columns.

    Parameters
    ----------
    pooled: (N, C, h, w) float, with b a divisor of h and w.
    """
    height = pooled.shape[2] // blocks
    last = pooled[:, :, height - 1 :: height][:, :, :-1]
    first = pooled[:, :, ::height][:, :, 1:]
    above = torch.stack([last, last[partner]], 1).unsqueeze(2)
    below = torch.stack([first, first[partner]], 1).unsqueeze(1)
    step = (above - below).abs().mean(3)
    return step.view(*step.shape[:-1], blocks, -1).mean(-1)


def contrast(seams: Tensor) -> Tensor:
    """Return the extra cost of different over equal images in neighbours, (N, ...) for (N, 2, 2, ...)."""
    return (seams[:, 0, 1] + seams[:, 1, 0] - seams[:, 0, 0] - seams[:, 1, 1]) / 2


def prior_costs(lam: Tensor, levels: int) -> Tensor:
    """Return -log of the binomial probability of every label, (N, levels), for (N,) mean shares lam."""
    probabilities = [
        math.comb(levels - 1, label) * lam ** (levels - 1 - label) * (1 - lam) ** label
        for label in range(levels)
    ]
    return -(torch.stack(probabilities, 1) + PRIOR_FLOOR).log()


def largest_divisor(side: int, limit: int) -> int:
    """Return the largest divisor of `side` that is at most `limit`."""
    return max(divisor for divisor in range(1, limit + 1) if side % divisor == 0)
