"""Shows how many jobs each rule has in a quiet dry run, which Snakemake counts and then leaves out.

`snakemake -n --quiet` ends there and tells no job: of 10,000 that takes half of a dry run's time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

HINT = "Why each run would train: dmix plan --why. Every job: snakemake -n without --quiet."


class DryRunCounts(logging.Filter):
    """A filter for Snakemake's logger.

    Parameters
    ----------
    applies: whether this is a dry run that is quiet about progress; known when the jobs are counted.
    """

    def __init__(self, applies: Callable[[], bool]) -> None:
        super().__init__()
        self._applies = applies

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the counts pass as a line that is of no event; return True."""
        event = getattr(getattr(record, "event", None), "value", "")
        if event == "run_info" and self._applies():
            record.msg, record.args = f"{record.getMessage().rstrip()}\n\n{HINT}", ()
            record.event = None
        return True
