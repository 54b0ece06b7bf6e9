"""Shortens what Snakemake says of a failed training job: the run's name, the reason and the log, once.

Snakemake prints the whole command twice for each attempt, with the promise in it, but not why it failed.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from dmix.grid.failure import Failure, read_failure
from dmix.grid.paths import FAILURE, LOG

RULES = ("train", "relate", "evaluate")
_DIGESTS = re.compile(r"(-[0-9a-f]{8}){2,3}$")
_TAIL_BYTES = 4000


class ShortFailures(logging.Filter):
    """A filter for Snakemake's logger.

    Parameters
    ----------
    work: folder of the tier's work folders, in which a job's log and failure are.
    """

    def __init__(self, work: Path) -> None:
        super().__init__()
        self._work = work
        self._old: dict[Path, float] = {}
        self._told: dict[Path, str] = {}
        self._refused: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Note started jobs; replace the message about a failed one; return whether to show the record."""
        event = getattr(getattr(record, "event", None), "value", "")
        message = record.getMessage() if isinstance(record.msg, str) else ""
        if event == "error" and "CalledProcessError" in message and " --promise " in message:
            return False  # the same failure's JOB_ERROR follows
        if found := re.fullmatch(r"Trying to restart job (\d+)\.", message):
            return int(found[1]) not in self._refused
        if getattr(record, "rule_name", None) not in RULES:
            return True
        work = self._folder(getattr(record, "log", None) or ())
        if work is None:
            return True
        if event == "job_info":
            self._old.setdefault(work, _written(work / FAILURE))
            return True
        return event != "job_error" or self._shorten(record, work)

    def _folder(self, logs: list[str] | tuple[str, ...]) -> Path | None:
        """Return the work folder of a job by its log files; others than ours may be among them."""
        folders = (Path(log).parent for log in logs if Path(log).name == LOG)
        return next((folder for folder in folders if folder.is_relative_to(self._work)), None)

    def _shorten(self, record: logging.LogRecord, work: Path) -> bool:
        name = _DIGESTS.sub("", str(work.relative_to(self._work)))
        failure = read_failure(work / FAILURE)
        if failure is None or _written(work / FAILURE) == self._old.get(work):
            failure = None  # of an earlier workflow
        elif failure.refused:
            self._refused.add(getattr(record, "jobid", -1))
        text = str(failure or _without_reason(work / LOG, getattr(record, "rule_msg", None)))
        if self._told.get(work) == text or (failure is None and work in self._told):
            return False  # of the attempt before
        self._told[work] = text
        record.msg, record.args = f"{name} {'ended' if failure is None else 'failed'}: {text}", ()
        record.event = None  # quiet output leaves out what Snakemake itself says of jobs
        return True


def _without_reason(log: Path, message: str | None) -> Failure:
    """Return what is known of a job that left no reason: it was stopped, or killed."""
    try:
        with open(log, "rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    errors = [place for place, line in enumerate(lines) if line.startswith("dmix: ")]
    told = lines[errors[-1] :] if errors else lines[-1:] or ["it ended without a word: was it killed?"]
    said = message.split("\n")[:1] if message else []
    return Failure(told[0], tuple(line.strip() for line in (*told[1:], *said)), log=str(log))


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
