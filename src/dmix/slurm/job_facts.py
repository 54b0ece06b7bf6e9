"""Reads from Snakemake's jobs what the executor says of them and keeps: names, outputs and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from dmix.slurm.ends import work_of


def name_of(job: Any) -> str:
    """Return the run's name where the job has one, and else the rule's."""
    return str(getattr(getattr(job, "params", None), "name", job.name))


def output_of(job: Any) -> str:
    """Return the first output of a job, which no other job makes; "" for a job without one."""
    return next((str(output) for output in getattr(job, "output", ())), "")


def work_folder(job_info: SubmittedJobInfo) -> Path | None:
    """Return the work folder of the job's run, or None if it is of no run."""
    return work_of(str(log) for log in getattr(job_info.job, "log", ()))


def slurm_log(job_info: SubmittedJobInfo) -> str:
    """Return the file of what the job printed outside of the run, or "" before it was submitted."""
    return str((job_info.aux or {}).get("slurm_logfile", ""))


def asked_for(job: Any) -> str:
    """Return what a job asks SLURM for, for people."""
    wanted = {key: job.resources.get(key) for key in ("gres", "mem_mb", "runtime", "slurm_partition")}
    return ", ".join(
        [f"threads {job.threads}", *(f"{key} {value}" for key, value in wanted.items() if value is not None)]
    )
