"""Random draws that policies share, on the host: lam and partners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REDRAWS = 10

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def draw_lams(rng: np.random.Generator, alpha: float, count: int) -> Floats:
    """Return draws of lam ~ Beta(alpha, alpha), (count,) float32."""
    lam: Floats = rng.beta(alpha, alpha, size=count).astype(np.float32)
    return lam


def draw_lam(rng: np.random.Generator, alpha: float, n: int) -> Floats:
    """Return one draw of lam ~ Beta(alpha, alpha) for all rows, (n,) float32."""
    return draw_lams(rng, alpha, 1).repeat(n)


def draw_partner(rng: np.random.Generator, n: int, derangement: bool) -> Ints:
    """Return a permutation of range(n), (n,) int64.

    With `derangement`, it is redrawn until no row is its own partner, up to 10 times; the last redraw is used
    in any case (released CutMix and FMix).
    """
    for _ in range(1 + REDRAWS if derangement else 1):
        partner: Ints = rng.permutation(n)
        if not (partner == np.arange(n)).any():
            break
    return partner
