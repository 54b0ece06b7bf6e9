"""How a job trains, none of which changes a number."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from dmix.data.loading.feed import ReadOptions
from dmix.grid.paths import DATA

CACHE = DATA / "cache"
MOST_WORKERS = 16


@dataclass(frozen=True)
class Options:
    """How to train, none of which changes a number on the same device.

    `tensorboard` is a folder for event files, or None. `workers` are the processes that decode images on
    disk, beside each that trains; None is none on a CPU, where runs share the cores, and the process's share
    of the job's cores (or 16) on a GPU.
    """

    device: str = "auto"
    checkpoint_seconds: float = 60.0
    tensorboard: Path | None = None
    workers: int | None = None


def own_cores() -> int:
    """Return this process's share of the cores of its job, at least one."""
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes that torchrun started here
    return max(1, len(os.sched_getaffinity(0)) // together)


def read_options(options: Options, device: torch.device) -> ReadOptions:
    """Return how a job reads images on disk."""
    workers = options.workers
    if workers is None:
        workers = min(MOST_WORKERS, own_cores()) if device.type == "cuda" else 0
    return ReadOptions(workers, CACHE)
