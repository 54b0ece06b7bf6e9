"""Reads the state of SLURM's jobs from squeue; an unanswered question is told apart from an empty answer."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SECONDS = 60.0
"""How long one call may take; a controller under load answers late."""

ENDED = ("BOOT_FAIL", "CANCELLED", "DEADLINE", "FAILED", "OUT_OF_MEMORY", "TIMEOUT")
"""States that no job leaves, other than COMPLETED."""

PASSING = ("NODE_FAIL", "PREEMPTED")
"""States that SLURM leaves at once where it queues the job again, and else never."""

SEPARATOR = "\x1f"
"""Between the fields of a line; reasons and comments may have any printable character."""

Hold = Literal["", "by SLURM", "by somebody", "never starts"]

# Reasons of `squeue --format=%r`; newer versions write "_" for " ". SLURM holds a job that it could not start
# (launch failed requeued held), or that it has queued again too often.
_BY_SLURM = re.compile(r"requeued.*held|JobHoldMaxRequeue", re.IGNORECASE)
_BY_SOMEBODY = re.compile(r"JobHeld(User|Admin)|\bheld\b", re.IGNORECASE)
_NEVER = re.compile(
    r"BadConstraints|DependencyNeverSatisfied|NotAllowed|InvalidAccount|InvalidQOS|PartitionTimeLimit"
    r"|PartitionNodeLimit|PartitionDown|PartitionInactive|PerJob",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class QueuedJob:
    """One job as squeue shows it.

    `state` is SLURM's word in capitals, `node` where it runs or ran ("" before), `reason` why it waits or
    ended, `folder` its working directory, and `comment` what the plugin makes of a rule's name and wildcards.
    """

    number: str
    state: str
    node: str
    reason: str
    folder: str
    comment: str

    @property
    def hold(self) -> Hold:
        """Who holds a waiting job, "never starts" where nothing but a change lets it run, and else ""."""
        if self.state != "PENDING":
            return ""
        if _BY_SLURM.search(self.reason):
            return "by SLURM"
        if _BY_SOMEBODY.search(self.reason):
            return "by somebody"
        return "never starts" if _NEVER.search(self.reason) else ""


def command() -> list[str]:
    """Return the call of squeue for all of this user's jobs, with those that ended in the last minutes."""
    form = SEPARATOR.join(("%i", "%T", "%N", "%r", "%Z", "%k"))
    return ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}", f"--format={form}"]


def parse(text: str) -> dict[str, QueuedJob]:
    """Return job number -> job, of the lines that `command` prints."""
    rows = [line.strip(" \n").split(SEPARATOR, 5) for line in text.split("\n")]
    return {row[0]: QueuedJob(*row) for row in rows if len(row) == 6}


def left_behind(queue: Mapping[str, QueuedJob], folder: Path) -> dict[str, QueuedJob]:
    """Return comment -> job, of the jobs that an earlier driver in `folder` left waiting or running.

    Of two with the same comment it is the one that runs.
    """
    over = {*ENDED, *PASSING, "COMPLETED"}
    ours = [job for job in queue.values() if job.state not in over and Path(job.folder) == folder]
    return {job.comment: job for job in sorted(ours, key=lambda job: job.state == "RUNNING")}


async def jobs() -> dict[str, QueuedJob] | None:
    """Return job number -> job, or None where the controller does not answer."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return parse(output.decode(errors="replace")) if process.returncode == 0 else None


def jobs_now() -> dict[str, QueuedJob] | None:
    """Return what `jobs` returns, outside of an event loop."""
    return asyncio.run(jobs())


def release(number: str) -> str:
    """Let a held job wait for its start again; return scontrol's words where it refuses, and else ""."""
    try:
        done = subprocess.run(
            ["scontrol", "release", number], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"scontrol ended with {done.returncode}"


def is_down(node: str) -> bool:
    """Return whether SLURM holds the node for down, failed or not responding; False where it cannot say."""
    call = ["sinfo", "--noheader", f"--nodes={node}", "--format=%T"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    state = done.stdout.strip()
    return state.endswith("*") or state.startswith(("down", "fail"))
