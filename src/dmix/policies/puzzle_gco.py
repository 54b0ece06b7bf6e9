"""Minimise PuzzleMix's energy by graph cuts, as published: alpha-beta swap of GCO (Boykov et al., 2001).

It serves to compare with `puzzle_solver`: it runs on the host, one pair after the other, and a swap is a
local search. The package gco-wrapper is the optional extra `dmix[gco]`; importing it adds the removed aliases
np.int, np.float (and np.bool, if missing) to numpy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dmix.errors import DmixError
from dmix.policies.puzzle_energy import Energy

# Costs are passed as int32, because the wrapper multiplies floats by 1e5 without checking for overflow. GCO
# refuses terms above 1e7; the largest term of a pair is scaled to half of that.
LARGEST_TERM = 5_000_000


def gco_solver() -> Callable[[Energy], Tensor]:
    """Return a function that maps an energy to labels (N, b, b) int64 on its device.

    Raises
    ------
    DmixError: gco-wrapper is not installed.
    """
    try:
        gco = importlib.import_module("gco")
    except ModuleNotFoundError as error:
        raise DmixError(
            "policy.solver is gco, but the package gco-wrapper is not installed",
            "run: pip install 'dmix[gco]', or set policy.solver to primal_dual",
        ) from error

    def minimise(energy: Energy) -> Tensor:
        unary, down, right = integer_terms(energy)
        levels = np.arange(unary.shape[-1], dtype=np.int32)
        distance = (levels[:, None] - levels) ** 2
        # The squared distance is no metric, so an expansion move aborts and a swap move is used.
        labels = [
            gco.cut_grid_graph(*terms, algorithm="swap")
            for terms in zip(unary, [distance] * len(unary), down, right, strict=True)
        ]
        found = torch.from_numpy(np.stack(labels).astype(np.int64))
        return found.view(unary.shape[:3]).to(energy.unary.device)

    return minimise


def integer_terms(energy: Energy) -> list[np.ndarray]:
    """Return unary (N, b, b, m), down and right as int32 on the host; edges cost w * (l_u - l_v)^2."""
    # Contiguous, because the wrapper passes addresses of arrays without strides.
    unary, down, right = (
        term.double().contiguous().cpu() for term in (energy.unary.movedim(1, 3), energy.down, energy.right)
    )
    largest = torch.stack([term.abs().amax((1, *range(2, term.dim()))) for term in (unary, down, right)])
    scale = LARGEST_TERM / largest.amax(0).clamp_min(torch.finfo(torch.float64).tiny)
    squares = (energy.unary.shape[1] - 1) ** 2
    scaled = (unary * scale.view(-1, 1, 1, 1), *(w / squares * scale.view(-1, 1, 1) for w in (down, right)))
    return [term.round().to(torch.int32).numpy() for term in scaled]
