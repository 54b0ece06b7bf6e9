"""PuzzleMix (Kim et al., 2020): mix blocks of two images so that salient blocks are visible."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from dmix.data.send import to_device
from dmix.errors import DmixError
from dmix.part import part
from dmix.policies.draw import draw_lam, draw_partner
from dmix.policies.policy import Context, Draws, Mixed, Policy
from dmix.policies.puzzle_energy import block_shares, largest_divisor, puzzle_energy
from dmix.policies.puzzle_gco import gco_solver
from dmix.policies.puzzle_saliency import input_saliency
from dmix.policies.puzzle_solver import minimise
from dmix.policies.puzzle_transport import transport, transport_plan

NO_BLEND = "it needs gradients of the loss at both images, and an unlabelled one has no label"


@part
class PuzzleMix(Policy):
    """Mix x = M * T1(x_a) + (1 - M) * T2(x_b), with the mask M of minimum energy on 2^k x 2^k blocks.

    k is drawn once per batch, uniformly from 1 to the largest value up to `max_grid_log2` for which 2^k
    divides both sides of the image. lam is only the mean of M's prior; the label weight is each row's mean
    of M.

    Settings: `alpha`, lam ~ Beta(alpha, alpha); `beta`, `gamma` and `eta`, weights of the smoothness, of the
    pixel term in it, and of the prior; `levels`, number of values of M; `edge_pool`, see `puzzle_energy`;
    `transport_eps`, cost of moving a block; `transport_block`, largest side in pixels of a block that is
    moved, reduced to the next divisor of the side of M's blocks (with the image's size or more, M's own
    blocks move); `solver` of the energy: `puzzle_solver` ("primal_dual") or `puzzle_gco` ("gco");
    `saliency_loss`, whose gradient is the saliency: plain cross-entropy ("ce") or the run's own loss, that of
    unmixed images ("objective", released code); `derangement`, see `dmix.policies.draw`.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)],
        beta: Annotated[float, Ge(0)],
        gamma: Annotated[float, Interval(ge=0, le=1)],
        eta: Annotated[float, Ge(0)],
        levels: Literal[2, 3],
        max_grid_log2: Annotated[int, Ge(1)],
        edge_pool: Annotated[int, Ge(1)],
        transport_eps: Annotated[float, Gt(0)],
        transport_block: Annotated[int, Ge(1)],
        solver: Literal["primal_dual", "gco"],
        saliency_loss: Literal["ce", "objective"] = "ce",
        derangement: bool = False,
    ) -> None:
        super().__init__()
        self.alpha, self.levels, self.max_grid_log2 = alpha, levels, max_grid_log2
        self.energy = partial(
            puzzle_energy, levels=levels, beta=beta, gamma=gamma, eta=eta, edge_pool=edge_pool
        )
        self.transport_eps, self.transport_block = transport_eps, transport_block
        self.minimise = minimise if solver == "primal_dual" else gco_solver()
        self.saliency_loss = saliency_loss
        self.derangement = derangement

    def mix(self, images: Tensor, labels: Tensor, draws: Draws, context: Context) -> Mixed:
        """Mix each image with its partner; the label weight is the mean of the row's own mask.

        Raises
        ------
        DmixError: a side of the images is odd.
        """
        n, _, height, width = images.shape
        lam = to_device(draw_lam(draws.host, self.alpha, n), images.device)
        blocks = self.draw_blocks(draws.host, height, width)
        partner = to_device(draw_partner(draws.host, n, self.derangement), images.device)

        own_loss = context.objective if self.saliency_loss == "objective" else None
        saliency = input_saliency(context.model, images, labels, own_loss)
        pixels = context.pixels(images.to(saliency.dtype))
        energy = self.energy(saliency, pixels, partner, lam, blocks=blocks)
        mask = 1 - self.minimise(energy).to(torch.float32) / (self.levels - 1)

        grid = self.transport_grid(blocks, height, width)
        shown = enlarge(mask, grid)
        shares = block_shares(saliency, grid)
        plans = transport_plan(
            torch.cat([shares, shares[partner]]), torch.cat([shown > 0, shown < 1]), self.transport_eps
        )
        row = torch.cat([torch.arange(n, device=partner.device), partner])
        own, other = transport(images, row, plans, grid).chunk(2)
        weight = enlarge(mask.to(images.dtype), (height, width)).unsqueeze(1)
        return Mixed(
            images=weight * own + (1 - weight) * other,
            y_a=labels,
            y_b=labels[partner],
            lam=mask.mean((1, 2)),
            mask=weight,
        )

    def draw_blocks(self, rng: np.random.Generator, height: int, width: int) -> int:
        """Return b = 2^k, the number of the mask's blocks along each side."""
        common = math.gcd(height, width)
        halvings = (common & -common).bit_length() - 1
        if halvings == 0:
            raise DmixError(
                f"PuzzleMix cannot cut {height}x{width} pixels into 2x2 blocks of whole pixels",
                "set dataset.image_size to an even number",
            )
        return int(2 ** rng.integers(1, min(halvings, self.max_grid_log2), endpoint=True))

    def transport_grid(self, blocks: int, height: int, width: int) -> tuple[int, int]:
        """Return the numbers of transported blocks down and across, multiples of the mask's."""
        rows, columns = (
            side // largest_divisor(side // blocks, self.transport_block) for side in (height, width)
        )
        return rows, columns


def enlarge(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (N, rows, columns) enlarged to (N, H, W) by repeating its cells."""
    _, rows, columns = grid.shape
    return grid.repeat_interleave(size[0] // rows, 1).repeat_interleave(size[1] // columns, 2)
