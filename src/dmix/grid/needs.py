"""Computes the resources that a run's job requests from a scheduler; they change no number."""

from __future__ import annotations

import math

from dmix.grid.cost import estimated_seconds
from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec

SLACK = 3  # factor on the estimate, whose rate not every GPU and data set reach
DAY = 24 * 60


def reads_files(spec: RunSpec) -> bool:
    """Return whether the run decodes real images from disk during training."""
    dataset = spec.settings["dataset"]
    return dataset.get("edition") == "real" and "image_size" not in dataset


def cores(spec: RunSpec) -> int:
    """Return the number of cores for each process of the run: 8 if it decodes images, else 1."""
    return 8 if reads_files(spec) else 1


def memory_mb(spec: RunSpec) -> int:
    """Return the host memory of the run in MB."""
    if spec.settings["dataset"].get("edition") != "real":
        return 2000
    return 16000 if reads_files(spec) else 8000


def minutes(grid: Grid, name: str, longest: int = DAY) -> int:
    """Return the time limit in minutes: `SLACK` x the estimate, at least an hour, at most `longest`.

    A run that reaches it saves and goes on in the next job.
    """
    return min(longest, max(60, math.ceil(SLACK * estimated_seconds(grid, name) / 60)))
