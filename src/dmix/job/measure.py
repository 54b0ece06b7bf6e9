"""Measures the training step of a run on this machine's device, in processes of its own."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean
from threading import BrokenBarrierError
from typing import Any

import torch

from dmix.data.sets.dataset import Dataset
from dmix.engine.assemble import assemble
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.engine.trainer import Trainer
from dmix.errors import DmixError
from dmix.grid.paths import DATA
from dmix.grid.spec import RunSpec
from dmix.grid.speed import Speed, step_of
from dmix.job import facts
from dmix.job.noise import from_nowhere, on_noise
from dmix.job.options import Options, read_options

WARM_UP = 3
"""Steps that are not timed: cuDNN tries its algorithms in the first ones."""
STEPS = 3
"""Steps that are timed at least."""
PATIENCE_SECONDS = 900.0
"""How long runs that are measured together wait for each other's first steps."""
LONG = 10**6
"""Epochs or steps of a measured run, so that it does not end."""
LEARNING_RATE = 1e-6
"""So small that no loss becomes infinite on noise; the time of a step does not depend on it."""

_together: Barrier | None = None


@dataclass(frozen=True)
class Measured:
    """What one process measured; see `Speed`."""

    device: str
    images_per_s: float
    memory_mb: float
    cold_start_s: float
    weights_mb: float
    checkpoint_mb: float
    steps: int


def measure(spec: RunSpec, *, own_data: bool, device: str, seconds: float, together: int) -> Speed:
    """Time the training step of a run, `together` times at once on one device.

    Every measurement has new processes, forked from one that has imported torch and used no GPU, so that peak
    memory and cold start are those of a run. Nothing of the run is written, and initial weights are random:
    the time of a step does not depend on them.

    Parameters
    ----------
    own_data: load the run's own images, which have to be here; else random pixels. seconds: time steps for so
        long. device: "auto", "cpu" or "cuda".

    Raises
    ------
    DmixError: the run cannot be trained on this device, or needs more memory than it has.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    barrier = context.Barrier(together)
    try:
        with ProcessPoolExecutor(together, context, initializer=_join, initargs=(barrier,)) as pool:
            asked = [pool.submit(_measure_one, spec, own_data, device, seconds) for _ in range(together)]
            found = _results(asked, barrier)
    except BrokenProcessPool as error:
        raise DmixError(
            f"{spec.name}: a process that measured it was killed",
            "it may have been out of memory: see the system's log",
            exit_code=1,
        ) from error
    return Speed(
        device=found[0].device,
        step=step_of(spec),
        together=together,
        data="own" if own_data else "noise",
        images_per_s=sum(each.images_per_s for each in found),
        memory_mb=max(each.memory_mb for each in found),
        cold_start_s=mean(each.cold_start_s for each in found),
        weights_mb=found[0].weights_mb,
        checkpoint_mb=found[0].checkpoint_mb,
        steps=sum(each.steps for each in found),
        torch=torch.__version__,
        run=spec.name,
    )


def device_name(device: str) -> str:
    """Return how torch names the device, asked in a process of its own.

    Raises
    ------
    DmixError: torch does not see such a device.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_name, device).result()


def _results(asked: Iterable[Future[Measured]], barrier: Barrier) -> list[Measured]:
    """Return all results; at the first error let the other processes go, and raise it."""
    found: list[Measured] = []
    problem: Exception | None = None
    for each in as_completed(asked):
        try:
            found.append(each.result())
        except BrokenBarrierError as error:  # another process failed first
            problem = problem or error
        except Exception as error:
            barrier.abort()
            problem = error if problem is None or isinstance(problem, BrokenBarrierError) else problem
    if problem is not None:
        raise problem
    return found


def _join(barrier: Barrier) -> None:
    global _together
    _together = barrier


def _name(device: str) -> str:
    return facts.hardware(choose_device(device)).device


def _measure_one(spec: RunSpec, own_data: bool, device: str, seconds: float) -> Measured:
    start = time.perf_counter()
    place = choose_device(device)
    try:
        trainer = _trainer(spec, own_data, place)
        trainer.method.train()
        _steps(trainer, 1)
        cold = time.perf_counter() - start
        _steps(trainer, WARM_UP - 1)
        if _together is not None:
            _together.wait(PATIENCE_SECONDS)
        count, took = _timed(trainer, seconds)
    except torch.OutOfMemoryError as error:
        raise DmixError(
            f"{spec.name}: {facts.hardware(place).device} has too little memory for it", exit_code=1
        ) from error
    state = trainer.state_dict()
    return Measured(
        device=facts.hardware(place).device,
        images_per_s=count * spec.settings["recipe"]["batch_size"] / took,
        memory_mb=_peak_mb(place),
        cold_start_s=cold,
        weights_mb=_bytes(state["method"]) / 2**20,
        checkpoint_mb=_bytes(state) / 2**20,
        steps=count,
    )


def _trainer(spec: RunSpec, own_data: bool, device: torch.device) -> Trainer:
    recipe = dict(spec.settings["recipe"])
    recipe |= {"steps" if recipe["steps"] else "epochs": LONG, "lr": LEARNING_RATE}
    spec = replace(spec, settings={**spec.settings, "recipe": recipe})
    dataset: Dataset
    if own_data:
        dataset = load_dataset(spec, DATA)
    else:
        spec, dataset = on_noise(spec)
    with tempfile.TemporaryDirectory() as folder:
        spec, given = from_nowhere(spec, Path(folder))
        return assemble(spec, dataset, device, read_options(Options(device.type), device), given)


def _timed(trainer: Trainer, seconds: float) -> tuple[int, float]:
    """Return a number of steps, and the seconds that they took.

    Steps of a GPU overlap with the work of the host, so they are waited for in groups that become larger.
    """
    count, group = 0, 1
    start = time.perf_counter()
    while (took := time.perf_counter() - start) < seconds or count < STEPS:
        _steps(trainer, group)
        count += group
        if took < seconds / 10:
            group *= 2
    return count, took


def _steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        trainer.train_step()
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return facts.hardware(device).peak_memory_mb


def _bytes(state: Any) -> int:
    """Return the bytes of all tensors in a state."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(_bytes(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(_bytes(value) for value in state)
    return 0
