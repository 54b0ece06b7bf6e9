"""How fast GPUs are, relative to the estimate of `dmix plan`: `reference/gpus.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid import cost
from dmix.grid.expand import Grid
from dmix.reading import read_csv

GPUS = Path("reference/gpus.csv")
HEADER = ("gpu", "precision", "speed", "basis", "source")
BASES = ("measured", "assumed")
HALF = "bf16"
"""The precision whose speed fp16 has too: GPUs multiply both at one rate."""


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU.

    Attributes
    ----------
    speeds: precision (`recipe.precision`) -> times the rate of the estimate.
    basis: precision -> "measured" or "assumed".
    """

    name: str
    speeds: Mapping[str, float]
    basis: Mapping[str, str]

    def seconds(self, grid: Grid, name: str, measured: Mapping[cost.Like, float]) -> float:
        """Return the expected seconds of a run: as a similar finished one, else the estimate at this speed.

        The estimates of small tiers are constants, which no GPU makes smaller.

        Raises
        ------
        DmixError: the file does not say how fast it is in the run's precision.
        """
        plain = cost.seconds(grid, name, measured)
        constant = grid.params.tiers[grid.tier].estimate_seconds is not None
        if constant or cost.is_measured(grid, name, measured):
            return plain
        precision = grid.runs[name].settings["recipe"]["precision"]
        precision = HALF if precision == "fp16" else precision
        if precision not in self.speeds:
            raise DmixError(
                f"{GPUS} does not say how fast {self.name} is in {precision}, which {name} is trained in",
                f"add a line {self.name},{precision},SPEED,measured,SOURCE",
            )
        return plain / self.speeds[precision]


def read_gpu(name: str, path: Path = GPUS) -> Gpu:
    """Return the GPU `name` of the file.

    Raises
    ------
    DmixError: the file is missing, has another header, a line twice, a speed that is no number above 0 or
        another basis, or there is no such GPU.
    """
    speeds: dict[str, dict[str, float]] = {}
    basis: dict[str, dict[str, str]] = {}
    for where, row in read_csv(path, HEADER):
        gpu, precision, speed, kind, _ = row.values()
        if kind not in BASES:
            raise DmixError(f"{where}: the basis {kind!r} is none of {', '.join(BASES)}")
        if precision in speeds.get(gpu, {}):
            raise DmixError(f"{where}: {gpu} in {precision} is given twice")
        speeds.setdefault(gpu, {})[precision] = _positive(where, speed)
        basis.setdefault(gpu, {})[precision] = kind
    if name not in speeds:
        raise DmixError(f"{path} has no GPU {name!r}", f"choose of {', '.join(speeds)}, or add its lines")
    return Gpu(name, speeds[name], basis[name])


def _positive(where: str, text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise DmixError(f"{where}: the speed {text!r} is no number above 0")
    return speed
