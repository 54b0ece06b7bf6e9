"""Predicts the memory of a process that trains a run: as measured, as finished runs had, or estimated."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from dmix.errors import DmixError
from dmix.grid.cost import MB_PER_PARAMETER, STATES, finished, like
from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome
from dmix.grid.gpus import Kind, positive
from dmix.grid.spec import RunSpec
from dmix.grid.speed import Speed, read_speeds, step_of
from dmix.grid.work import image_side, passes
from dmix.reading import read_csv

ACTIVATIONS = Path("reference/activations.csv")
ACTIVATIONS_HEADER = ("backbone", "side", "mb_per_image")
MB_PER_GFLOP = 13.0
"""Activations in MiB for each GFLOP of a forward pass of networks that the file has not: its most."""
OVERHEAD = 1.5
"""Peak over activations: their gradients, and what cuDNN works in."""
HALF = 0.5
"""Activations in fp16 and bf16 over those in float32."""

Basis = Literal["measured", "finished", "estimated"]


@dataclass(frozen=True)
class Memory:
    """Peak memory of each process of a run in MiB, without what CUDA itself takes, and where it is from."""

    mb: float
    basis: Basis

    def __str__(self) -> str:
        return f"{self.mb / 1024:,.1f} GiB{' estimated' if self.basis == 'estimated' else ''}"


class Memories:
    """The memory of all runs of a grid on one kind of device.

    Parameters
    ----------
    kind: whose measurements and finished runs count.
    speeds: measurements, by default those of results/speed.csv. done: finished runs, by default looked up.
    """

    def __init__(
        self,
        grid: Grid,
        kind: Kind,
        speeds: Iterable[Speed] | None = None,
        done: Mapping[str, Outcome] | None = None,
    ) -> None:
        self._grid = grid
        rows = read_speeds() if speeds is None else speeds
        self._speeds = {row.step: row for row in rows if row.together == 1 and kind.is_device(row.device)}
        self._finished = finished(grid, kind, done)

    def of(self, name: str, processes: int) -> Memory:
        """Return the memory of each process of the run `name` if so many share it.

        `dmix measure` measures one process. A process goes through its shards one after the other, so it
        needs the memory of one, however many it has; where batch norms are synchronised, that of all its
        shards at once.
        """
        spec = self._grid.runs[name]
        if speed := self._speeds.get(step_of(spec)):
            fixed = speed.weights_mb + speed.checkpoint_mb  # gradients, weights and moments
            return Memory(_shared(spec, speed.memory_mb, fixed, processes), "measured")
        done = self._finished.get(like(spec))
        if done and done.memory_mb:
            fixed = done.parameters * MB_PER_PARAMETER * (STATES + 1)
            share = processes / done.processes
            return Memory(_shared(spec, done.memory_mb, fixed, share), "finished")
        return Memory(estimated_mb(self._grid, spec, processes), "estimated")


def _shared(spec: RunSpec, memory_mb: float, fixed_mb: float, share: float) -> float:
    """Return the memory of a process that has 1 / `share` of the shards of one that needs `memory_mb`."""
    if not spec.settings["recipe"]["sync_batchnorm"]:
        return memory_mb
    fixed = min(fixed_mb, memory_mb)
    return fixed + (memory_mb - fixed) / share


def estimated_mb(grid: Grid, spec: RunSpec, processes: int) -> float:
    """Return the estimated peak memory in MiB of each process, which errs on the large side.

    It is the sum of

    * activations: images that go through the network at once x MiB of an image (reference/activations.csv,
      by area from the nearest side; else by the operations of a forward pass) x forward passes of the step
      (passes of the policy or method / 3) x `OVERHEAD`, x `HALF` in half precision;
    * the process's part of the batch, as float32;
    * weights, gradients and two moments of each parameter, the average of parameters if there is one, and, of
      a process with n shards, log2(n) more copies of the gradients.
    """
    recipe, side = spec.settings["recipe"], image_side(spec)
    rows, shards = recipe["batch_size"] / processes, recipe["shards"] // processes
    together = rows if recipe["sync_batchnorm"] else rows / shards
    half = HALF if recipe["precision"] in ("fp16", "bf16") else 1.0
    forward = passes(grid, spec) / 3
    activations = together * forward * _mb_per_image(grid, spec.axes["backbone"], side) * OVERHEAD * half
    images = rows * 3 * side**2 * 4 / 2**20
    copies = STATES + 1 + bool(recipe["ema"]) + (0.0 if recipe["sync_batchnorm"] else math.log2(shards))
    parameters = (grid.params.backbones[spec.axes["backbone"]].parameters_m or 0.0) * 1e6
    return float(activations + images + parameters * MB_PER_PARAMETER * copies)


def _mb_per_image(grid: Grid, backbone: str, side: int) -> float:
    known = read_activations().get(backbone)
    if known is None:
        gflop = grid.params.backbones[backbone].forward_gflop
        known = {pixels: value * MB_PER_GFLOP for pixels, value in gflop.items()}
    nearest = min(known, key=lambda other: abs(math.log(other / side)))
    return known[nearest] * (side / nearest) ** 2


@cache
def read_activations(path: Path = ACTIVATIONS) -> Mapping[str, Mapping[int, float]]:
    """Return backbone -> side in pixels -> MiB that a training step keeps of each image, in float32.

    Raises
    ------
    DmixError: the file is missing, has another header, a line twice, or a number that is not above 0.
    """
    found: dict[str, dict[int, float]] = {}
    for where, row in read_csv(path, ACTIVATIONS_HEADER):
        sides = found.setdefault(row["backbone"], {})
        side = round(positive(where, "side", row["side"]))
        if side in sides:
            raise DmixError(f"{where}: {row['backbone']} at {side} pixels is given twice")
        sides[side] = positive(where, "mb_per_image", row["mb_per_image"])
    return found
