"""Options of a training job that change no number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from dmix.cores import job_cores
from dmix.data.loading.feed import ReadOptions
from dmix.devices.server import MOST_PACKED, MOST_WORKERS
from dmix.engine.distributed import launched
from dmix.errors import DmixError
from dmix.grid.paths import DATA

CACHE = DATA / "cache"
MOST_GIVEN_WORKERS = 1024
MOST_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True)
class Options:
    """Options of training; except `device` they change no number.

    `device` is "auto", "cpu" or "cuda". `tensorboard` is a folder for event files, or None. `workers` is the
    number of processes that decode image files, per training process; None means 0 on a CPU, where runs share
    the cores, and on a GPU the process's share of the job's cores, at most 16. `stage` is a folder of this
    node to which the data set is copied (`dmix.job.staged`), or None. `devices` lists those of which the job
    leases one (`dmix.devices.find`), "" for none; `per_device` jobs of its kind may share it.

    Raises
    ------
    DmixError: one is out of range.
    """

    device: str = "auto"
    checkpoint_seconds: float = 600.0
    tensorboard: Path | None = None
    workers: int | None = None
    stage: Path | None = None
    devices: str = ""
    per_device: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.checkpoint_seconds <= MOST_SECONDS:  # also false for NaN
            raise DmixError(
                f"--checkpoint-seconds is {self.checkpoint_seconds}",
                f"give seconds in 0..{MOST_SECONDS:.0f}; 0 saves after every step",
            )
        if self.workers is not None and not 0 <= self.workers <= MOST_GIVEN_WORKERS:
            raise DmixError(
                f"--workers is {self.workers}",
                f"give a number of processes in 0..{MOST_GIVEN_WORKERS}; 0 decodes in the training process",
            )
        if self.devices and self.device != "auto":
            raise DmixError(
                f"--device {self.device} and --devices {self.devices}",
                "give one of them: the device that is leased says whether it is a GPU",
            )
        if not 1 <= self.per_device <= MOST_PACKED:
            raise DmixError(
                f"--per-device is {self.per_device}",
                f"give a number of jobs in 1..{MOST_PACKED} that share a device",
            )


def own_cores() -> int:
    """Return this process's share of the cores of its job, at least one."""
    # Processes that torchrun started on this machine.
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if launched() else 1
    return max(1, job_cores() // together)


def read_options(options: Options, device: torch.device) -> ReadOptions:
    """Return the number of workers and the cache folder for reading image files."""
    workers = options.workers
    if workers is None:
        workers = min(MOST_WORKERS, own_cores()) if device.type == "cuda" else 0
    return ReadOptions(workers, CACHE)
