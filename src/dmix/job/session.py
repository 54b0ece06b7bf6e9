"""Keeps time, checkpoints and the history so far of a run, over all the processes that trained it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import torch

from dmix.engine.distributed import World
from dmix.engine.trainer import Trainer
from dmix.files import CannotWrite
from dmix.grid.failure import read_failure
from dmix.grid.history import history_csv
from dmix.grid.paths import RunPaths
from dmix.job import checkpoint
from dmix.job.board import Board
from dmix.job.live import LiveFile
from dmix.job.options import Options
from dmix.job.patience import patiently
from dmix.job.recorded import forget
from dmix.job.say import say
from dmix.job.signals import Stop
from dmix.job.watch import Watch

KEYS = {"run", "trainer", "resumes", "started", "used", "seconds", "process_seconds"}


class Session:
    """Time, restarts and checkpoints of one run.

    `stopped_by` is the signal on which all processes stop, `used` the sha256 of each input file (`Given`).
    """

    def __init__(
        self, trainer: Trainer, paths: RunPaths, options: Options, world: World, used: Mapping[str, str]
    ) -> None:
        self.trainer = trainer
        self.paths = paths
        self.options = options
        self.world = world
        self.used = used
        self.stopped_by: signal.Signals | None = None
        self.resumes = 0
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._seconds_before = self._process_seconds_before = 0.0
        self._clock = time.monotonic()
        self._saved = self._clock
        self._told = False
        failure = read_failure(paths.failure) if world.leads else None
        self._failed_at = None if failure is None else failure.step
        self._live = LiveFile(paths.live_history, trainer.label) if world.leads else None
        self._board: Board | None = None

    def __enter__(self) -> Session:
        """Show the history as far as the checkpoint: rows that a killed process had after it come again."""
        folder = self.options.tensorboard
        if self.world.leads and folder is not None:
            self._board = Board(folder, self.trainer.label, self.trainer.step)
        self._show_history()
        return self

    def __exit__(self, *error: object) -> None:
        if self._board:
            self._board.close()

    @property
    def seconds(self) -> float:
        """Seconds of training over all sessions."""
        return self._seconds_before + time.monotonic() - self._clock

    @property
    def process_seconds(self) -> float:
        """Seconds of all processes together: each session may have another number of them."""
        return self._process_seconds_before + self.world.size * (time.monotonic() - self._clock)

    def restore(self) -> None:
        """Continue from the checkpoint, if there is one.

        Raises
        ------
        DmixError: it is damaged, or not one of this run.
        """
        # Loaded on the host, where optimisers keep their step count: on a GPU each step would synchronise.
        state = checkpoint.load(self.paths.checkpoint, torch.device("cpu"))
        if state is None:
            return
        if state.keys() != KEYS:
            raise checkpoint.unusable(
                self.paths.checkpoint, "is that of another version of dmix, or no one's"
            )
        if state["run"] != self.paths.folder:
            raise checkpoint.unusable(self.paths.checkpoint, f"is that of another run, {state['run']}")
        try:
            self.trainer.load_state_dict(state["trainer"])
            self.resumes = state["resumes"] + 1
            self._seconds_before = float(state["seconds"])
            self._process_seconds_before = float(state["process_seconds"])
        except Exception as error:  # whatever a state of another shape raises, in any of the run's parts
            raise checkpoint.unusable(self.paths.checkpoint, f"does not fit this run: {error}") from error
        self.started = state["started"]
        self.used = state["used"]  # the files may have changed since
        if self.world.leads:
            say(f"{self.trainer.label}: continuing at step {self.trainer.step} of {self.trainer.total}")

    def save(self, seconds: float = 0.0, go_on: Callable[[], bool] = bool) -> CannotWrite | None:
        """Write a checkpoint from the first process; every process returns after that.

        Return what kept it from being written, if anything, after trying for `seconds` while `go_on()`. The
        checkpoint before is then still there.
        """
        problem = None
        state = {
            "run": self.paths.folder,
            "trainer": self.trainer.state_dict(),
            "resumes": self.resumes,
            "started": self.started,
            "used": dict(self.used),
            "seconds": self.seconds,
            "process_seconds": self.process_seconds,
        }
        if self.world.leads:
            try:
                patiently(lambda: checkpoint.save(self.paths.checkpoint, state), seconds, go_on)
            except CannotWrite as error:
                problem = error
        self.world.wait()
        self._saved = time.monotonic()
        return problem

    def after_step(self, stop: Stop, watch: Watch | None) -> bool:
        """Report progress, show a new row, save if a checkpoint is due, and return whether to go on.

        Several processes agree on both by one small message per step, on the host: a signal may reach only
        one of them, and their clocks differ.
        """
        if watch:
            watch.update()
        trainer = self.trainer
        if self._failed_at is not None and trainer.step > self._failed_at:
            self._failed_at = None
            forget(self.paths.failure)
        if trainer.history and trainer.history[-1]["step"] == trainer.step:
            self._show_history()
            if self._board:
                self._board.add(trainer.history[-1])
        due = time.monotonic() - self._saved >= self.options.checkpoint_seconds
        number, save = self.world.agree(stop.signal or 0, due)
        if number:
            self.stopped_by = signal.Signals(number)
            return False
        if save and trainer.step < trainer.total:
            self._save_or_go_on(stop)
        return True

    def _show_history(self) -> None:
        # All rows, because a column may come late; a few hundred lines at most, once an epoch or evaluation.
        if self._live and self.trainer.history:
            self._live.write(history_csv(self.trainer.history))
        elif self._live:
            self._live.remove()

    def _save_or_go_on(self, stop: Stop) -> None:
        """Save; where that fails, say so once and go on, because the next save may succeed."""
        with stop.saving():
            problem = self.save()
        if problem is not None and not self._told:
            say(f"{self.trainer.label}: {problem.message}; the run goes on, and saves when it can")
        self._told = problem is not None
