"""Writes the small files that show a run in progress, and never ends it over one."""

from __future__ import annotations

import os
from pathlib import Path

from dmix.job.say import say


class LiveFile:
    """A file that is written anew again and again while a run trains, and removed at its end.

    It is replaced whole, so a reader sees no half of it. It is not fsynced: it is short-lived, and losing it
    does no harm. Where it cannot be written, that is said once and the run goes on: a full disk may have room
    again in a minute.

    Parameters
    ----------
    label: name of the run, for the message.
    """

    def __init__(self, path: Path, label: str) -> None:
        self._path = path
        self._label = label
        self._told = False

    def write(self, text: str) -> None:
        """Replace the content by `text`."""
        part = self._path.with_suffix(".part")
        try:
            part.write_text(text)
            os.replace(part, self._path)
        except OSError as problem:
            part.unlink(missing_ok=True)
            self._lost(problem)

    def remove(self) -> None:
        """Remove the file, if it is there."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as problem:
            self._lost(problem)

    def _lost(self, problem: OSError) -> None:
        if not self._told:
            self._told = True
            say(f"{self._label}: cannot write {self._path}: {problem.strerror}; the run goes on")
