"""Shows the progress of a run: a bar on a terminal, else plain lines; and a file for `dmix status`.

The file is the run's heartbeat: it is written by the loop after a step, so it grows old where no step ends.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dmix.engine.trainer import Trainer
from dmix.job.say import say

FILE_SECONDS = 1.0
LINE_SECONDS = 30.0


class Watch:
    """Shows the progress of a trainer; call `update` after every step."""

    def __init__(self, label: str, trainer: Trainer, progress_file: Path) -> None:
        self.label = label
        self.trainer = trainer
        self.file = progress_file
        self.started = time.monotonic()
        self.first_step = trainer.step
        self._file_due = 0.0
        self._line_due = self.started + LINE_SECONDS
        self._told = False
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            self._task = self._bar.add_task(label, total=trainer.total, completed=trainer.step, note="")

    def __enter__(self) -> Watch:
        if self._bar:
            self._bar.start()
        self.update()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        try:
            self.file.unlink(missing_ok=True)
        except OSError as problem:
            self._lost(problem)

    def update(self) -> None:
        """Refresh the bar, the file every second, and print a plain line every 30 seconds."""
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, completed=self.trainer.step, note=self._note())
        elif now >= self._line_due:
            self._line_due = now + LINE_SECONDS
            say(f"{self.label}: step {self.trainer.step}/{self.trainer.total} {self._note()}")
        if now >= self._file_due:
            self._file_due = now + FILE_SECONDS
            self._write(now)

    def _note(self) -> str:
        loss = self.trainer.last_loss
        return "" if loss is None else f"loss {loss:.3f}"

    def _write(self, now: float) -> None:
        done = self.trainer.step - self.first_step
        left = self.trainer.total - self.trainer.step
        state = {
            "step": self.trainer.step,
            "total": self.trainer.total,
            "loss": self.trainer.last_loss,
            "seconds_left": round(left * (now - self.started) / done, 1) if done else None,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        # Renamed but not fsynced: the file is short-lived, and losing it does no harm.
        part = self.file.with_suffix(".part")
        try:
            part.write_text(json.dumps(state))
            os.replace(part, self.file)
        except OSError as problem:
            part.unlink(missing_ok=True)
            self._lost(problem)

    def _lost(self, problem: OSError) -> None:
        """Say once that progress cannot be shown, and go on: a full disk may have room again in a minute."""
        if not self._told:
            self._told = True
            say(f"{self.label}: cannot write {self.file}: {problem.strerror}; the run goes on")
