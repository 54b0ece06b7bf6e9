"""Reads from Snakemake's jobs what the executor says of them and keeps: names, outputs and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm.utils import get_job_wildcards
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from dmix.slurm.ends import work_of


def name_of(job: Any) -> str:
    """Return the run's name where the job has one, and else the rule's."""
    return str(getattr(getattr(job, "params", None), "name", job.name))


def comment_of(job: Any) -> str:
    """Return the comment that the plugin gives to a job, which names its rule and run."""
    wildcards = get_job_wildcards(job)
    return f"rule_{job.name}_wildcards_{wildcards}" if wildcards else f"rule_{job.name}"


def log_of(job: Any, folder: Path, number: str) -> Path:
    """Return the file into which SLURM writes what a job prints; `folder` is the plugin's for such files."""
    return Path(folder, f"rule_{job.name}", get_job_wildcards(job), f"{number}.log")


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
