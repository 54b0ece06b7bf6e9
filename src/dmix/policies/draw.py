"""Random draws that policies share, on the host: lam, partners, and the rows that share a draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REDRAWS = 10

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def draw_lam(rng: np.random.Generator, alpha: float, n: int, groups: int) -> Floats:
    """Return lam ~ Beta(alpha, alpha), (n,) float32: one draw for each of `groups` groups of rows.

    Released code draws one value per process; `groups` imitates that number of processes on one device.
    """
    lam: Floats = rng.beta(alpha, alpha, size=groups).astype(np.float32)
    return lam[group_of_row(n, groups)]


def draw_partner(rng: np.random.Generator, n: int, groups: int, derangement: bool) -> Ints:
    """Return a permutation of range(n), (n,) int64, that stays inside each of `groups` groups of rows.

    With `derangement`, a group's permutation is redrawn until no row is its own partner, up to 10 times; the
    last redraw is used in any case (released CutMix and FMix).
    """
    group_of = group_of_row(n, groups)
    partner = np.empty(n, dtype=np.int64)
    for group in range(groups):
        rows = np.flatnonzero(group_of == group)
        for _ in range(1 + REDRAWS if derangement else 1):
            drawn = rng.permutation(rows.size)
            if not (drawn == np.arange(rows.size)).any():
                break
        partner[rows] = rows[drawn]
    return partner


def group_of_row(n: int, groups: int) -> Ints:
    """Return the group of each row, (n,) int64: groups of consecutive rows, of equal size.

    The last group that is not empty may have fewer; with more groups than rows, the last ones are empty.
    """
    return np.arange(n) // max(1, -(-n // groups))
