"""Seeds the global generators of Python and numpy, for libraries that draw from them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded_from(rng: np.random.Generator) -> Iterator[None]:
    """Seed Python's and numpy's global generators from `rng` for the block, then restore their states."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what timm draws from
    seeds = rng.integers(2**32, size=2)
    random.seed(int(seeds[0]))
    np.random.seed(int(seeds[1]))  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
