"""Random draws that policies share: lam, partners, boxes. Host side, one call per batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

REDRAWS = 10

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def draw_lam(rng: np.random.Generator, alpha: float, n: int, groups: int) -> Floats:
    """Return lam ~ Beta(alpha, alpha), (n,) float32: one draw for each of `groups` chunks of the batch.

    Released code draws one value per process; `groups` imitates that many processes on one device.
    """
    lam: Floats = rng.beta(alpha, alpha, size=groups).astype(np.float32)
    return lam[_chunk_of_row(n, groups)]


def draw_partner(rng: np.random.Generator, n: int, groups: int, derangement: bool) -> Ints:
    """Return a permutation of range(n), (n,) int64, that stays inside each of `groups` chunks.

    With `derangement`, a chunk's permutation is redrawn up to 10 times until no row is its own partner;
    the last draw stands otherwise (released CutMix and FMix).
    """
    chunk = _chunk_of_row(n, groups)
    partner = np.empty(n, dtype=np.int64)
    for group in range(groups):
        rows = np.flatnonzero(chunk == group)
        for _ in range(1 + REDRAWS if derangement else 1):
            drawn = rng.permutation(rows.size)
            if not (drawn == np.arange(rows.size)).any():
                break
        partner[rows] = rows[drawn]
    return partner


def box_around(centre_x: Ints, centre_y: Ints, lam: Floats, height: int, width: int) -> Ints:
    """Return CutMix boxes (n, 4) int64 as x0, y0, x1, y1 (ends excluded), clipped at the borders.

    The box has sides floor(side * sqrt(1 - lam)) and its centre at the given pixels, (n,) int64.
    """
    ratio = np.sqrt(1.0 - lam.astype(np.float64))
    half_w = np.floor(width * ratio).astype(np.int64) // 2
    half_h = np.floor(height * ratio).astype(np.int64) // 2
    return np.stack(
        [
            np.clip(centre_x - half_w, 0, width),
            np.clip(centre_y - half_h, 0, height),
            np.clip(centre_x + half_w, 0, width),
            np.clip(centre_y + half_h, 0, height),
        ],
        axis=1,
    )


def kept_share(boxes: Ints, height: int, width: int) -> Floats:
    """Return the exact share of pixels outside each box, (n,) float32."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    share: Floats = (1.0 - area / (height * width)).astype(np.float32)
    return share


def box_mask(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return (n, 1, height, width) bool, True outside the box: where the own image stays."""
    x0, y0, x1, y1 = (side.view(-1, 1, 1, 1) for side in boxes.unbind(1))
    rows = torch.arange(height, device=boxes.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=boxes.device).view(1, 1, 1, -1)
    return ~((rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1))


def to_device(array: Floats | Ints, device: torch.device) -> Tensor:
    """Copy a small host array to `device` without waiting for the device."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def _chunk_of_row(n: int, groups: int) -> Ints:
    """Return the chunk of each row, (n,) int64: equal contiguous chunks, the last may be shorter."""
    return np.arange(n) // max(1, -(-n // groups))
