"""Tells what a refusal of sbatch means: try later, this job can never run, or none of them can."""

from __future__ import annotations

import re
from typing import Literal

Meaning = Literal["later", "this job", "every job"]

# Words of SLURM's own messages (slurm_strerror), and of limits on how many jobs may be queued.
_LATER = re.compile(
    r"unable to contact|temporarily|timed out|zero bytes|connection (refused|reset|failure)|try again"
    r"|standby|communication|MaxSubmit|too many|queue is full|unexpected message",
    re.IGNORECASE,
)
_THIS_JOB = re.compile(
    r"node configuration|memory|time limit|gres|generic resource|processors|cpu count|node count|tres",
    re.IGNORECASE,
)
_EVERY_JOB = re.compile(
    r"account|partition|qos|association|reservation|permission|denied|not permitted|credential|munge"
    r"|user id|command not found|group",
    re.IGNORECASE,
)
_SBATCH = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.\n", re.DOTALL)
_RAISED = re.compile(r"Job submission failed with exception: (.*)", re.DOTALL)


def words_of(message: str | None) -> str:
    """Return sbatch's own words from the plugin's message about a job, or "" if it is about none.

    `message` is what snakemake-executor-plugin-slurm reports for a job that it could not submit.
    """
    found = _SBATCH.search(message or "") or _RAISED.search(message or "")
    if found is None:
        return ""
    lines = (line.removeprefix("sbatch: error: ").strip() for line in found[1].splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line)) or "sbatch failed without a word"


def meaning(words: str, accepted: bool) -> Meaning:
    """Return what a refusal means for this and for other jobs.

    Parameters
    ----------
    words: what sbatch said.
    accepted: whether SLURM took a job of this workflow before. Words that nobody knows, such as those of a
        site's own rules, then concern one job; before, they concern all.
    """
    if _LATER.search(words):
        return "later"
    if _THIS_JOB.search(words) and not re.search(r"account|qos", words, re.IGNORECASE):
        return "this job"
    if _EVERY_JOB.search(words):
        return "every job"
    return "this job" if accepted else "every job"
