"""How many cores a job may use, which may be fewer than the machine has."""

from __future__ import annotations

import os

from dmix.errors import DmixError

SLURM = "SLURM_CPUS_PER_TASK"  # set where --cpus-per-task is; not every site binds tasks to their cores
LOKY = "LOKY_MAX_CPU_COUNT"  # joblib's own limit


def job_cores() -> int:
    """Return the number of cores of this job, at least one.

    That is the least of the machine's cores, the process's affinity, the quota of its container (cgroup), and
    what SLURM gave the task.

    Raises
    ------
    DmixError: a variable that limits it is not a number above 0.
    """
    limits = {name: os.environ[name] for name in (SLURM, LOKY) if name in os.environ}
    for name, value in limits.items():
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise DmixError(
                f"the environment variable {name} is {value!r}", "unset it, or give a number of cores"
            )
    from joblib import cpu_count  # slow to import, and only needed here

    counted: int = cpu_count()
    return min([counted, *map(int, limits.values())])
