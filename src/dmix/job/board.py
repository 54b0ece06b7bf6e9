"""Writes the rows of a history to event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dmix.engine.trainer import Row
from dmix.errors import DmixError
from dmix.job.say import say


class Board:
    """The event files of one run, `folder`/`label`.

    They are flushed after each row, so that TensorBoard shows runs in progress and a killed run loses no row
    that its checkpoint has. Where they cannot be written, that is said once and the run goes on.

    Parameters
    ----------
    step: finished steps. What earlier processes wrote of later steps, or of the run before its settings
        changed, TensorBoard then leaves out.

    Raises
    ------
    DmixError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path, label: str, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise DmixError(
                "--tensorboard needs the tensorboard package", "run: pip install 'dmix[tensorboard]'"
            ) from error
        self._folder = folder / label
        self._label = label
        self._writer: Any = None

        def begin() -> None:
            self._writer = SummaryWriter(str(self._folder), purge_step=step + 1)

        self._try(begin)

    def add(self, row: Row) -> None:
        """Write one row: each column but epoch and step is a scalar at the row's step."""
        if self._writer is None:
            return

        def write() -> None:
            for name, value in row.items():
                if name not in ("epoch", "step"):
                    self._writer.add_scalar(name, value, row["step"])
            self._writer.flush()

        self._try(write)

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._try(self._writer.close)

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as problem:
            self._writer = None
            say(
                f"{self._label}: cannot write event files to {self._folder}: {problem.strerror}; "
                "the run goes on without them"
            )
