"""Random number generators with fixed pairs, and fixed lam, so that pictures of policies are comparable."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmix.errors import DmixError
from dmix.policies.policy import Mixed


class Neighbours(np.random.Generator):
    """A generator whose permutations swap neighbours (0 with 1, 2 with 3); all else is random, from `seed`.

    Swapping neighbours keeps the pairs also where a policy permutes chunks of the batch. In a permutation of
    an odd number the last place stays.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))

    def permutation(self, x: Any, axis: int = 0) -> npt.NDArray[Any]:
        """Return range(x), or the array x along `axis`, with neighbours swapped."""
        values = np.arange(x) if np.ndim(x) == 0 else np.asarray(x)
        last = values.shape[axis] - 1
        swapped: npt.NDArray[Any] = np.take(values, np.minimum(np.arange(last + 1) ^ 1, last), axis=axis)
        return swapped


class PairedDraws(Neighbours):
    """A generator of neighbours whose Beta draws are all `lam`."""

    def __init__(self, seed: int, lam: float) -> None:
        super().__init__(seed)
        self.lam = lam

    def beta(self, a: Any, b: Any, size: Any = None) -> Any:
        """Return `lam`, or an array full of it."""
        return self.lam if size is None else np.full(size, self.lam)


def require_neighbours(mixed: Mixed, labels: Tensor) -> None:
    """Raise DmixError where a row that is mixed has another partner than its neighbour.

    Parameters
    ----------
    labels: (N,) int64 of the rows, N even.
    """
    partner = torch.arange(len(labels)) ^ 1
    if not ((mixed.y_b == labels[partner]) | (mixed.lam == 1)).all():
        raise DmixError("it takes its partners from elsewhere than draws.host.permutation")
