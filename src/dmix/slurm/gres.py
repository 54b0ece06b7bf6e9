"""Words which GPUs a job asks SLURM for: whole ones, or a part of one that other runs share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.gpus import Kind, read_gpu
from dmix.grid.packing import FILE, packing

MOST = 1024


class Gres:
    """What each run asks for, by the settings `packing`, `shards_per_gpu` and `gpu` of a profile.

    SLURM divides each GPU into shards, as many as its administrator says. K runs that share a GPU are K jobs
    with a K-th of its shards each: each has a state, a log and retries of its own. A run alone on a GPU then
    asks for all of its shards, because SLURM may give a GPU with shards in use to a job that asks for a GPU.

    Parameters
    ----------
    tell: is called with a line on what measurements decided, if any did.

    Raises
    ------
    DmixError: `packing` is wrong or `shards_per_gpu` no number in 1..1024, or one lacks the other; or packing
        is to be as measured on a GPU that `gpu` does not name.
    """

    def __init__(self, settings: Mapping[str, Any], grid: Grid, tell: Callable[[str], None]) -> None:
        wanted, self._shards = settings.get("packing") or {}, settings.get("shards_per_gpu", 0)
        if type(self._shards) is not int or not 0 <= self._shards <= MOST:
            raise DmixError(f"shards_per_gpu in {FILE} is {self._shards!r}", f"give a number in 1..{MOST}")
        if wanted and not self._shards:
            raise DmixError(
                f"packing in {FILE}: SLURM lets runs share a GPU by its shards",
                "say how many a GPU of the nodes has, shards_per_gpu, or take out packing (docs/cluster.md)",
            )

        def here() -> tuple[Kind, ...]:
            if not settings.get("gpu"):
                raise DmixError(
                    f"packing in {FILE} is to be as measured on the GPU of the nodes, which nothing names",
                    "name it there: `gpu: a100`, one of reference/gpus.csv",
                )
            return (read_gpu(str(settings["gpu"])),)

        self._packing = packing(wanted, grid, here, tell)

    def of(self, run: str, processes: int = 1) -> str:
        """Return sbatch's gres for a run: as many GPUs as it has processes, or its part of one."""
        if processes > 1 or not self._shards:
            return f"gpu:{processes}"
        return f"shard:{math.ceil(self._shards / self._packing.get(run, 1))}"
