"""Predicts time and memory of a run: as similar finished ones, else as measured, else from data sheets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from statistics import mean, median
from typing import Literal

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.finished import Outcome, finished_runs
from dmix.grid.gpus import DEFAULT, HALF, Gpu, Kind, kind_of, read_gpu, read_utilisation
from dmix.grid.spec import RunSpec
from dmix.grid.speed import Speed, Step, read_speeds, step_of
from dmix.grid.work import image_side, images, tflop, tflop_per_image

Basis = Literal["finished", "measured", "scaled", "assumed", "constant"]
BASES: Mapping[Basis, str] = {
    "finished": "as similar runs that finished",
    "measured": "by results/speed.csv",
    "scaled": "by the rate of like steps in results/speed.csv",
    "assumed": "by the data sheet's peak and reference/utilisation.csv",
    "constant": "by the tier's constant",
}
"""Where hours are from, the most certain first."""
Like = tuple[str, str, str, str, int]


@dataclass(frozen=True)
class Finished:
    """What finished runs of one kind took.

    Attributes
    ----------
    seconds: mean, of all devices of a run together. parameters: most.
    memory_mb: most of a process, in MiB; 0 if unknown. processes: of the run that had it.
    """

    seconds: float
    memory_mb: float
    parameters: int
    processes: int


@dataclass(frozen=True)
class Cost:
    """Expected cost of a run on one device.

    Attributes
    ----------
    memory_mb: peak of the device's memory in MiB. weights_mb, checkpoint_mb: of its files. None: unknown.
    """

    seconds: float
    basis: Basis
    memory_mb: float | None
    weights_mb: float | None
    checkpoint_mb: float | None

    @property
    def hours(self) -> float:
        """Expected hours."""
        return self.seconds / 3600


MB_PER_PARAMETER = 4 / 2**20
STATES = 3
"""Numbers that a checkpoint holds for each parameter: at most itself and two moments, without an average."""


class Costs:
    """The costs of all runs of a grid on a kind of GPU, or on the machine's own device.

    With `gpu`, only finished runs and measurements of that GPU count. Without, finished runs of any device
    do, measurements of the device that was measured last, and what is assumed is assumed of an A100.
    """

    def __init__(
        self,
        grid: Grid,
        gpu: Gpu | None = None,
        speeds: Iterable[Speed] | None = None,
        done: Mapping[str, Outcome] | None = None,
    ) -> None:
        self._grid = grid
        self._gpu = gpu
        self._finished = finished(grid, gpu, done)
        rows = [row for row in (read_speeds() if speeds is None else speeds) if row.together == 1]
        last = rows[-1].device if rows else ""
        here = [row for row in rows if (gpu.is_device(row.device) if gpu else row.device == last)]
        self._speeds: Mapping[Step, Speed] = {row.step: row for row in here}
        self._rates = self._measured_rates()
        self._costs: dict[str, Cost] = {}

    def __getitem__(self, name: str) -> Cost:
        """Return the cost of the run `name`."""
        if name not in self._costs:
            self._costs[name] = self._cost(self._grid.runs[name])
        return self._costs[name]

    def _cost(self, spec: RunSpec) -> Cost:
        done = self._finished.get(like(spec))
        speed = self._speeds.get(step_of(spec)) if self._speeds else None
        seconds, basis = self._seconds(spec, done, speed)
        memory = (done.memory_mb if done else 0) or (speed.memory_mb if speed else 0)
        if speed:
            return Cost(seconds, basis, memory or None, speed.weights_mb, speed.checkpoint_mb)
        weights = self._parameters(spec, done) * MB_PER_PARAMETER
        states = STATES + bool(spec.settings["recipe"]["ema"])
        return Cost(seconds, basis, memory or None, weights or None, weights * states or None)

    def _seconds(self, spec: RunSpec, done: Finished | None, speed: Speed | None) -> tuple[float, Basis]:
        if done:
            return done.seconds, "finished"
        if speed:
            return images(spec) / speed.images_per_s + speed.cold_start_s, "measured"
        constant = self._grid.params.tiers[self._grid.tier].estimate_seconds
        if constant is not None:
            return constant, "constant"
        for key in _groups(spec):
            if key in self._rates:
                return tflop(self._grid, spec) / self._rates[key], "scaled"
        return assumed_seconds(self._grid, spec, self._gpu or read_gpu(DEFAULT)), "assumed"

    def _parameters(self, spec: RunSpec, done: Finished | None) -> float:
        """Return the parameters of a run's network, as finished or as its entry says at full size, else 0."""
        if done:
            return done.parameters
        if self._grid.params.tiers[self._grid.tier].estimate_seconds is not None:
            return 0.0  # small tiers have small networks
        return (self._grid.params.backbones[spec.axes["backbone"]].parameters_m or 0.0) * 1e6

    def _measured_rates(self) -> Mapping[tuple[str, ...], float]:
        """Return group of steps -> median rate in TFLOP/s of those that were measured."""
        of_step: dict[Step, RunSpec] = {}
        if self._speeds:
            for spec in self._grid.runs.values():
                of_step.setdefault(step_of(spec), spec)
        rates: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for step, speed in self._speeds.items():
            if step in of_step:
                for key in _groups(of_step[step]):
                    rate = speed.images_per_s * tflop_per_image(self._grid, of_step[step])
                    rates[key].append(rate)
        return {key: median(values) for key, values in rates.items()}


def finished(
    grid: Grid, gpu: Kind | None = None, done: Mapping[str, Outcome] | None = None
) -> Mapping[Like, Finished]:
    """Return what finished runs took, on `gpu` if given, by method, data set, backbone, policy and length.

    Parameters
    ----------
    done: what is known of the finished runs, by default looked up.
    """
    seen: dict[Like, list[Finished]] = defaultdict(list)
    for name, said in (finished_runs(grid.tier, grid.places) if done is None else done).items():
        if said.seconds is None or not said.parameters:
            continue  # a damaged record, which `dmix plan` lists as such
        if gpu is None or gpu.is_device(said.device):
            seconds = said.seconds * said.processes
            found = Finished(seconds, said.memory_mb, said.parameters, said.processes)
            seen[like(grid.runs[name])].append(found)
    found_of: dict[Like, Finished] = {}
    for kind, these in seen.items():
        largest = max(these, key=lambda each: each.memory_mb)
        seconds = mean(each.seconds for each in these)
        parameters = max(each.parameters for each in these)
        found_of[kind] = Finished(seconds, largest.memory_mb, parameters, largest.processes)
    return found_of


def estimated_seconds(grid: Grid, name: str) -> float:
    """Return the seconds of a run that nothing was measured of: the tier's constant, or those of an A100."""
    constant = grid.params.tiers[grid.tier].estimate_seconds
    return assumed_seconds(grid, grid.runs[name], _default()) if constant is None else constant


def assumed_seconds(grid: Grid, spec: RunSpec, gpu: Gpu) -> float:
    """Return the work of a run over the share of the data sheet's peak that training reaches.

    Raises
    ------
    DmixError: the tables do not say the GPU's peak or the share for the run's precision.
    """
    precision, kind = spec.settings["recipe"]["precision"], kind_of(image_side(spec))
    shares = _utilisation()
    share = shares.get((kind, precision)) or shares.get((kind, HALF.get(precision, "")))
    if share is None:
        raise DmixError(
            f"reference/utilisation.csv has no line for {kind} images in {precision}",
            f"add a line {kind},{precision},SHARE,assumed,SOURCE",
        )
    return tflop(grid, spec) / (gpu.peak(precision) * share)


@cache
def _default() -> Gpu:
    return read_gpu(DEFAULT)


@cache
def _utilisation() -> Mapping[tuple[str, str], float]:
    return read_utilisation()


def _groups(spec: RunSpec) -> Iterable[tuple[str, ...]]:
    """Yield the groups of steps whose rate stands for the run's, the most like it first."""
    precision, side = spec.settings["recipe"]["precision"], image_side(spec)
    yield precision, spec.axes["backbone"], str(side)
    yield precision, kind_of(side)


def like(spec: RunSpec) -> Like:
    """Return what runs have in common that take about as long: method, data set, backbone, policy, length."""
    axes, recipe = spec.axes, spec.settings["recipe"]
    length = recipe["epochs"] or recipe["steps"]
    return axes["method"], axes["dataset"], axes["backbone"], axes["policy"], length
