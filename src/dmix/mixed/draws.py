"""A random number generator by which a policy mixes given pairs with a given lam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv  # type: ignore[import-untyped]

from dmix.policies.draw import Ints

Beta = Callable[[float, float], float]
"""Maps the two parameters of a Beta distribution to the value that is drawn."""


class PlannedDraws(np.random.Generator):
    """A generator that draws a given permutation, and from every Beta distribution a planned value.

    Everything else is random, from `seed`.

    Parameters
    ----------
    partner: (n,) int64, returned for every permutation of n. beta: returns the value of a Beta draw.
    """

    def __init__(self, seed: int, partner: Ints, beta: Beta) -> None:
        super().__init__(np.random.PCG64(seed))
        self.partner, self.planned = partner, beta

    def beta(self, a: Any, b: Any, size: Any = None) -> Any:
        """Return the planned value, or an array full of it."""
        value = self.planned(a, b)
        return value if size is None else np.full(size, value)

    def permutation(self, x: Any, axis: int = 0) -> npt.NDArray[Any]:
        """Return the given permutation of range(n); of any other length or array, a random one."""
        if np.ndim(x) == 0 and int(x) == len(self.partner):
            return self.partner.copy()
        drawn: npt.NDArray[Any] = super().permutation(x, axis)
        return drawn


def exactly(value: float) -> Beta:
    """Return the plan to draw `value`, whatever the distribution."""

    def planned(a: float, b: float) -> float:
        del a, b
        return value

    return planned


def at_quantile(probability: float) -> Beta:
    """Return the plan to draw the value below which the distribution has this probability."""
    return lambda a, b: float(betaincinv(a, b, probability))


def stratified(count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return one uniform number from each of `count` equal parts of [0, 1], in random order, (count,).

    Their quantiles are a sample of the distribution that covers it evenly (stratified sampling), so that a
    mean over few draws of lam has a smaller error than that of independent ones.
    """
    return (rng.permutation(count) + rng.random(count)) / count
