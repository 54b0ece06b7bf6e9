"""Tells what a finished job of the workflow was: a run's name, its score and how many of them are done.

Snakemake says "Finished jobid: 12 (Rule: train)", and counts tables among its steps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.paths import RECORD
from dmix.reading import read_json

TRAIN = "train"
SELECTS = "Select jobs to execute..."


class FinishedLines(logging.Filter):
    """A filter for Snakemake's logger, which tells a line for each finished job whose rule has a message.

    Where output is quiet about rules, these are the only ones: what Snakemake itself says of finished jobs,
    and of how many are started, is left out.

    Parameters
    ----------
    tell: prints a line, by the same logger. rules: Snakemake's value for output that is quiet about rules.
    """

    def __init__(self, tell: Callable[[str], None], rules: object) -> None:
        super().__init__()
        self._tell = tell
        self._rules = rules
        self._messages: dict[int, str] = {}
        self._records: dict[int, Path] = {}
        self._done = 0
        self._total = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Note jobs, tell which finished, and let the record pass."""
        event = getattr(getattr(record, "event", None), "value", "")
        if event == "run_info":
            self._total = getattr(record, "stats", {}).get(TRAIN, 0)
        elif event == "job_info":
            self._note(record)
        elif event == "job_finished":
            job = getattr(record, "job_id", -1)
            if job in self._messages:
                self._tell(self._line(job))
        if event in ("job_started", "job_finished", "progress") or record.msg == SELECTS:
            record.quietness = self._rules
        return True

    def _note(self, record: logging.LogRecord) -> None:
        job, message = getattr(record, "jobid", -1), getattr(record, "rule_msg", None)
        if message:
            self._messages[job] = message
        if getattr(record, "rule_name", None) == TRAIN:
            for output in getattr(record, "output", ()):
                if Path(output).name == RECORD:
                    self._records[job] = Path(output)

    def _line(self, job: int) -> str:
        path = self._records.get(job)
        if path is None:
            return f"{self._messages[job]}: done"
        self._done += 1
        try:
            found = read_json(path)
            said = f"{found['name']}: top-1 {float(found['score']):.2f} %"
        except (DmixError, KeyError, TypeError, ValueError):
            said = f"{self._messages[job]}: done, without a record that can be read"
        return f"{said}, {self._done} of {self._total} runs" if self._total else said
