"""Says why SLURM ended a job, in the run's `failure.txt`, and whether the run can go on from where it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dmix.files import write_text
from dmix.grid.failure import Failure
from dmix.grid.paths import FAILURE, LOG

CHECKPOINT = "checkpoint.pt"

GONE = "UNKNOWN"
"""State of a job that SLURM no longer knows: it forgets those that ended, after MinJobAge."""

_WHAT = {
    "TIMEOUT": "it reached its time limit: longest_job in workflows/profiles/slurm/settings.yaml",
    "OUT_OF_MEMORY": (
        "it needed more memory than it asked for; the next attempt asks for more, or set mem_mb of train in "
        "set-resources of workflows/profiles/slurm/config.yaml"
    ),
    "NODE_FAIL": "its node failed",
    "PREEMPTED": "SLURM gave its GPU to another job",
    "CANCELLED": "somebody cancelled it (scancel)",
    "DEADLINE": "it reached its deadline",
    "BOOT_FAIL": "its node did not start",
    "FAILED": "it was stopped by a signal and saved, or it was killed",
    GONE: "SLURM has no record of it any more",
}


@dataclass(frozen=True)
class Marks:
    """When the files were written by which a run shows that it got further or failed; 0 without the file."""

    checkpoint: int = 0
    failure: int = 0


def work_of(logs: Iterable[str]) -> Path | None:
    """Return the work folder of a job by its log files, or None for jobs that have none."""
    return next((Path(log).parent for log in logs if Path(log).name == LOG), None)


def marks(work: Path | None) -> Marks:
    """Return the marks of a run now."""
    if work is None:
        return Marks()
    return Marks(_written(work / CHECKPOINT), _written(work / FAILURE))


def failed_itself(before: Marks, now: Marks) -> bool:
    """Return whether the run gave a reason of its own since `before`."""
    return now.failure not in (0, before.failure)


def got_further(before: Marks, now: Marks) -> bool:
    """Return whether the run saved something since `before`, from which the next job goes on."""
    return now.checkpoint not in (0, before.checkpoint)


def reason(number: str, state: str, node: str, more: str = "") -> Failure:
    """Return why a job ended, for people.

    Parameters
    ----------
    number: SLURM's number of the job. state: SLURM's word for how it ended. node: where it ran, or "".
    more: what happens next, a line.
    """
    what = _WHAT.get(state, "")
    place = f" on {node}" if node else ""
    return Failure(f"SLURM job {number}{place}: {state}", tuple(line for line in (what, more) if line))


def tell(work: Path | None, failure: Failure, log: Path | None = None) -> None:
    """Write `failure` to the run's `failure.txt`; `log` is named where the run has no log of its own.

    Raises
    ------
    CannotWrite: the folder cannot be written.
    """
    if work is None:
        return
    own = work / LOG
    named = own if own.exists() else log
    text = Failure(failure.reason, failure.way_out, failure.step, str(named or ""), failure.refused)
    write_text(work / FAILURE, f"{text}\n")


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
