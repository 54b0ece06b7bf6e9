"""Minimise PuzzleMix's energy on the device, all pairs at once, instead of by one graph cut per pair.

With labels as integers the pairwise term w * (l_u - l_v)^2 / (m - 1)^2 is convex in their difference, and
so is the unary term in the label (except for lam within 1e-4 of 0 or 1, because of the prior's floor).
Interpolating both linearly between integers gives a convex function of real labels: the mean, over rounding
thresholds, of the energies of the rounded labels. So its minimum is the energy's minimum, and every rounding
of a minimiser is optimal (Murota, 2003, on L-natural convexity).

The minimum is found by the primal-dual method of Chambolle and Pock (2011), with their diagonal
preconditioning (Pock and Chambolle, 2011), for a fixed number of iterations: nothing waits for the device.
tests/parity/test_puzzle_solver.py compares the result with exact minimum cuts.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softshrink

from dmix.policies.puzzle_energy import Energy

# Enough to converge: information travels one block per iteration.
ITERATIONS, ITERATIONS_PER_BLOCK = 24, 3
STEP_RATIO = 2.0  # of the primal to the dual step, each relative to its variable's range
ROUNDINGS = 9
NO_WEIGHT = 1e-12  # replaces a total edge weight of 0, for which the primal step would be infinite


def minimise(energy: Energy) -> Tensor:
    """Return labels (N, b, b) int64 of minimum energy, up to the accuracy of the iteration.

    The energy must have two or three levels; `convex_slopes` covers no more.
    """
    relaxed = relax(energy, ITERATIONS + ITERATIONS_PER_BLOCK * energy.unary.shape[-1])
    thresholds = (torch.arange(ROUNDINGS, device=relaxed.device) + 0.5) / ROUNDINGS
    roundings = (relaxed + 1 - thresholds.view(-1, 1, 1, 1)).floor().long()
    best = energy.of(roundings).argmin(0).view(1, -1, 1, 1)
    return roundings.take_along_dim(best, 0)[0]


def relax(energy: Energy, iterations: int) -> Tensor:
    """Return real labels (N, b, b) in [0, m - 1] that nearly minimise the interpolated energy.

    Edges are stored as (2, N, b + 1, b): [0] above and below each block, [1] left and right of it and
    transposed, so that one difference along dimension 2 serves both; edges at the border have weight 0.
    The dual variable of an edge is a slope of the interpolated square; times the edge's weight, a force.
    """
    n, levels, blocks, _ = energy.unary.shape
    weight = energy.unary.new_zeros(2, n, blocks + 1, blocks)
    weight[0, :, 1:-1], weight[1, :, 1:-1] = energy.down, energy.right.mT
    around = weight[:, :, 1:] + weight[:, :, :-1]
    ratio = STEP_RATIO * (levels - 1) ** 3 / (2 * levels - 3)
    primal_step = ratio / (around[0] + around[1].mT).clamp_min(NO_WEIGHT)
    dual_step = 1 / (2 * ratio)
    kinks = torch.stack(
        [primal_step * slope + level for level, slope in enumerate(convex_slopes(energy.unary).unbind(1))]
    )

    labels = extrapolated = energy.unary.new_full((n, blocks, blocks), (levels - 1) / 2)
    slopes = torch.zeros_like(weight)
    for _ in range(iterations):
        step = torch.stack((extrapolated, extrapolated.mT)).diff(dim=2)
        slopes[:, :, 1:-1].add_(step, alpha=dual_step)
        slopes = dual_proximal(slopes, dual_step, levels)
        force = (weight * slopes).diff(dim=2)
        moved = torch.addcmul(labels, primal_step, force[0]).addcmul_(primal_step, force[1].mT)
        proximal = (moved - kinks).clamp_(0, 1).sum(0)
        extrapolated = torch.lerp(labels, proximal, 2.0)
        labels = proximal
    return labels


def convex_slopes(unary: Tensor) -> Tensor:
    """Return the slopes (N, m - 1, b, b) of the convex hull of unary costs (N, m, b, b), m = 2 or 3."""
    slopes = unary.diff(dim=1)
    return torch.where(slopes[:, :1] > slopes[:, -1:], slopes.mean(1, keepdim=True), slopes)


def dual_proximal(slopes: Tensor, step: float, levels: int) -> Tensor:
    """Return the proximal map, for `step`, of the conjugate of the interpolated d^2 / (m - 1)^2.

    It is piecewise linear: at an integer difference d, slopes between those of the pieces left and right of d
    are kept, shifted by d * step; between two integers it is constant.
    """
    unit = 1 / (levels - 1) ** 2  # slope of the first piece; the others have 3, 5, ... times as much
    result = slopes.clamp(-unit, unit)
    for difference in range(1, levels - 1):
        start = (2 * difference - 1) * unit + difference * step
        result += softshrink(slopes, start).clamp_(-2 * unit, 2 * unit)
    return result
