from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

torch.set_num_threads(1)


class Rows(NamedTuple):
    """Mixed rows of two different classes, in the order of an objective's arguments."""

    logits: Tensor
    y_a: Tensor
    y_b: Tensor
    lam: Tensor


@pytest.fixture(params=[(c, s) for c in (2, 3, 10, 100) for s in (0, 1)], ids=lambda p: f"C{p[0]}-seed{p[1]}")
def rows(request):
    classes, seed = request.param
    rng = np.random.default_rng([classes, seed])
    n = 9
    y_a = rng.integers(classes, size=n)
    y_b = (y_a + rng.integers(1, classes, size=n)) % classes
    logits = rng.normal(scale=3, size=(n, classes))
    lam = rng.uniform(0.01, 0.99, size=n)
    return Rows(*map(torch.from_numpy, (logits, y_a, y_b, lam)))
