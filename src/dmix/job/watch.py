"""Shows the progress of a run: a bar on a terminal, else plain lines; and a file for `dmix status`.

The file is the run's heartbeat: it is written by the loop after a step, so it grows old where no step ends.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

import torch
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from dmix.engine.trainer import Trainer
from dmix.grid.history import last_accuracy
from dmix.grid.progress import Progress
from dmix.job.live import LiveFile
from dmix.job.say import say

FILE_SECONDS = 1.0
MOST_FILE_SECONDS = 30.0
FILE_SHARE = 60
"""A run that lasts for days writes its file more seldom: hundreds at once would keep a file server busy."""
LINE_SECONDS = 30.0


class Watch:
    """Shows the progress of a trainer; call `update` after every step."""

    def __init__(self, label: str, trainer: Trainer, progress_file: Path) -> None:
        self.label = label
        self.trainer = trainer
        self.file = LiveFile(progress_file, label)
        self.started = time.monotonic()
        self.first_step = trainer.step
        self._device = device_here(trainer.device)
        self._file_due = 0.0
        self._line_due = self.started + LINE_SECONDS
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
            self._bar = Bar(*columns, console=Console(stderr=True))
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
        self.file.remove()

    def update(self) -> None:
        """Refresh the bar, the file (every second at first), and print a plain line every 30 seconds."""
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, completed=self.trainer.step, note=str(self._progress(now)))
        elif now >= self._line_due:
            self._line_due = now + LINE_SECONDS
            say(f"{self.label}: {self._progress(now)}")
        if now >= self._file_due:
            self._file_due = now + min(
                MOST_FILE_SECONDS, max(FILE_SECONDS, (now - self.started) / FILE_SHARE)
            )
            self.file.write(self._progress(now).model_dump_json())

    def _progress(self, now: float) -> Progress:
        trainer, per_epoch = self.trainer, self.trainer.course.epoch
        done = trainer.step - self.first_step
        left = trainer.total - trainer.step
        return Progress(
            step=trainer.step,
            total=trainer.total,
            epoch=min(trainer.step, trainer.total - 1) // per_epoch + 1 if per_epoch else None,
            epochs=trainer.total // per_epoch if per_epoch else None,
            loss=trainer.last_loss,
            accuracy=last_accuracy(trainer.history),
            seconds_left=round(left * (now - self.started) / done, 1) if done else None,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=self._device,
        )


def device_here(device: torch.device) -> str:
    """Return "cpu", or a GPU's name and its number on this host: "NVIDIA A100-SXM4-80GB, GPU 3"."""
    if device.type != "cuda":
        return device.type
    index = device.index or 0
    # A job sees the GPUs that it was given as 0, 1, ...; SLURM says which ones these are.
    given = (os.environ.get("SLURM_JOB_GPUS") or os.environ.get("CUDA_VISIBLE_DEVICES") or "").split(",")
    number = given[index] if index < len(given) and given[index] else str(index)
    return f"{torch.cuda.get_device_name(device)}, GPU {number}"
