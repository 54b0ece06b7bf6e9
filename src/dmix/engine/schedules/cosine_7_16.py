"""FixMatch's schedule: seven sixteenths of a cosine's half period (Sohn et al., 2020)."""

from __future__ import annotations

import math

from dmix.engine.schedules.contract import Progress
from dmix.part import part


@part
def cosine_7_16(lr: float, at: Progress) -> float:
    """Return lr * cos(7/16 * pi * step / total), which ends near a fifth of lr."""
    return lr * math.cos(7 * math.pi * at.step / (16 * at.total))
