"""What the job of a run asks of a scheduler. None of it changes a number."""

from __future__ import annotations

import math

from dmix.grid.cost import estimated_seconds
from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec

SLACK = 3  # times the estimate, which assumes a rate that not every GPU and data set reach
DAY = 24 * 60


def reads_files(spec: RunSpec) -> bool:
    """Return whether the run decodes genuine images from disk while it trains."""
    dataset = spec.settings["dataset"]
    return dataset.get("edition") == "real" and "image_size" not in dataset


def cores(spec: RunSpec) -> int:
    """Return how many cores a process of the run can use: workers that decode, or the one that trains."""
    return 8 if reads_files(spec) else 1


def memory_mb(spec: RunSpec) -> int:
    """Return the host memory of the run in MB."""
    if spec.settings["dataset"].get("edition") != "real":
        return 2000
    return 16000 if reads_files(spec) else 8000


def minutes(grid: Grid, name: str, longest: int = DAY) -> int:
    """Return a time limit: a multiple of the estimate between an hour and the `longest` that a job may take.

    A run that reaches it saves and goes on in the next job.
    """
    return min(longest, max(60, math.ceil(SLACK * estimated_seconds(grid, name) / 60)))
