"""Decides from squeue's answers whether a job goes on or ended, and what then becomes of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dmix.slurm.ends import GONE, Marks, failed_itself, got_further
from dmix.slurm.queue import ENDED, PASSING, QueuedJob

Verdict = Literal["goes on", "queued again", "ended", "done"]
Sequel = Literal["done", "failed itself", "next job", "failed"]


@dataclass
class Followed:
    """What is known of a submitted job: marks of its run at submission, and what squeue said last.

    `state` and `node` are "" before the first answer. `told` is the reason of a hold that was told last, and
    `releases` counts how often the driver released the job.
    """

    marks: Marks
    state: str = ""
    node: str = ""
    told: str = ""
    releases: int = 0


def verdict(known: Followed, found: QueuedJob | None) -> Verdict:
    """Return what an answer of squeue says of a job, and note the answer in `known`.

    Parameters
    ----------
    found: None where squeue does not list the job. That, a failed node and a pre-emption count as its end
        only when squeue says so twice, because SLURM may queue such a job again a moment later.
    """
    state, before = found.state if found else GONE, known.state
    known.state = state
    if found and found.node:
        known.node = found.node
    if state == "COMPLETED":
        return "done"
    if state in ENDED or (state == before and state in (*PASSING, GONE)):
        return "ended"
    return "queued again" if state == "PENDING" and before not in ("", "PENDING") else "goes on"


def sequel(known: Followed, now: Marks, outputs_there: bool) -> Sequel:
    """Return what follows on a job that ended without success.

    Parameters
    ----------
    now: marks of its run. outputs_there: whether it made its outputs, all the same, before SLURM forgot it.
    """
    if known.state == GONE and outputs_there:
        return "done"
    if failed_itself(known.marks, now):
        return "failed itself"
    # With the same memory it would end so again.
    goes_on = got_further(known.marks, now) and known.state != "OUT_OF_MEMORY"
    return "next job" if goes_on else "failed"
