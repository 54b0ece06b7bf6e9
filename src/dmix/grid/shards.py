"""Says how many processes can share one run: by the shards of its batch. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sharing(shards: int) -> tuple[int, ...]:
    """Return the numbers of processes that can share a batch of `shards` shards, from 1 to `shards`.

    They are the divisors: each process has equally many shards.
    """
    return tuple(count for count in range(1, shards + 1) if shards % count == 0)


def processes(recipe: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the numbers of processes, each with a device of its own, that can share a run, smallest first.

    The run is the same with each of them: draws and order of samples are equal, weights equal to rounding.

    Parameters
    ----------
    recipe: the settings of the section `recipe` of a resolved run.
    """
    return sharing(recipe["shards"])


def at_most(recipe: Mapping[str, Any], wanted: int) -> int:
    """Return the largest number of processes that can share a run, up to `wanted`, which is 1 or more."""
    return max(count for count in processes(recipe) if count <= wanted)
