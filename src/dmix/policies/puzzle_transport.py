"""PuzzleMix's transport: move salient blocks to where the mask shows their image (Kim et al., 2020, 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor


def transport_plan(shares: Tensor, visible: Tensor, eps: float) -> Tensor:
    """Return the index of the block that moves to each place, (N, T) int64, by a greedy auction.

    Moving block i to place j costs eps * (squared distance) / (t - 1)^2, with t blocks on the grid's longer
    side, minus the saliency share of i if j is visible. In each of t rounds every block bids for its cheapest
    place, and the bidder with the lowest cost wins; each loser's cost of the place rises by 1. Ties go to the
    lower index.

    Every visible place gets a block: its own block bids for it first, and a place with a bidder keeps one,
    because the winner's costs do not change. A hidden place without a bidder keeps its own block.

    Parameters
    ----------
    shares: (N, rows, columns) float in [0, 1], each block's share of the image's saliency.
    visible: (N, rows, columns) bool, where the mask shows the image.
    eps: > 0, weight of the distance.
    """
    n, rows, columns = shares.shape
    places = rows * columns
    place = torch.arange(places, device=shares.device)
    y, x = place // columns, place % columns
    longer = max(rows, columns)
    square = (y[:, None] - y).square() + (x[:, None] - x).square()
    distance = eps / (longer - 1) ** 2 * square.to(shares.dtype)
    cost = distance - shares.view(n, -1, 1) * visible.view(n, 1, -1).to(shares.dtype)

    nobody = torch.full_like(shares, torch.inf).flatten(1)
    for _ in range(longer):
        bid, wanted = cost.min(2)
        lowest = nobody.scatter_reduce(1, wanted, bid, "amin").gather(1, wanted)
        bidder = torch.where(bid == lowest, place, places)
        winner = torch.full_like(wanted, places).scatter_reduce_(1, wanted, bidder, "amin")
        lost = winner.gather(1, wanted) != place
        if lost.device.type == "cpu" and not lost.any():
            break  # nothing changes any more; on a GPU the check would cost a synchronisation
        cost.scatter_(2, wanted.unsqueeze(2), (bid + lost).unsqueeze(2))
    return torch.where(winner < places, winner, place)


def transport(images: Tensor, row: Tensor, plan: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return (N, C, H, W) images, channels_last in memory: place j of n shows block plan[n, j] of row[n].

    Parameters
    ----------
    images: (M, C, H, W).
    row: (N,) int64, which image is transported.
    plan: (N, T) int64.
    grid: number of blocks down and across, divisors of H and W with product T.
    """
    rows, columns = grid
    m, channels, height, width = images.shape
    block = height // rows, width // columns
    cells = images.permute(0, 2, 3, 1).reshape(m, rows, block[0], columns, block[1], channels)
    blocks = cells.transpose(2, 3).flatten(1, 2)  # (M, T, height of a block, its width, C)
    moved = blocks[row.unsqueeze(1), plan].view(-1, rows, columns, *block, channels).transpose(2, 3)
    return moved.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
