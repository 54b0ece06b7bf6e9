"""How far a run in progress is: the file that it writes every second, and the words for it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from dmix.errors import DmixError
from dmix.reading import as_model, read_json

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Progress(BaseModel):
    """How far a run is.

    Attributes
    ----------
    step: finished optimiser steps of `total`. epoch: the epoch under way, from 1 to `epochs`; None where the
        recipe counts steps.
    loss: mean of the last row of the history. accuracy: the primary prediction's top-1 in percent when it was
        last evaluated. seconds_left: to the end, at the pace of this process. Each is None while unknown.
    host, pid: the process that trains it. device: what it trains on, with the number of a GPU on its host; ""
        in files of earlier versions.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    total: int
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    seconds_left: float | None = None
    host: str
    pid: int
    device: str = ""

    @property
    def where(self) -> str:
        """The epoch, or the step of recipes that count steps: "epoch 3 of 12"."""
        if self.epoch is not None and self.epochs is not None:
            return f"epoch {self.epoch} of {self.epochs}"
        return f"step {self.step} of {self.total}"

    def __str__(self) -> str:
        """Return it in words: "epoch 3 of 12, top-1 45.20 %, loss 1.250, about 3 hours left"."""
        parts = [
            self.where,
            "" if self.accuracy is None else f"top-1 {self.accuracy:.2f} %",
            "" if self.loss is None else f"loss {self.loss:.3f}",
            "" if self.seconds_left is None else f"{duration(self.seconds_left)} left",
        ]
        return ", ".join(filter(None, parts))


def read_progress(path: Path) -> Progress | None:
    """Return the progress that a run has written, or None before it has, or where the file is damaged."""
    try:
        found: Progress = as_model(Progress, read_json(path))
    except (DmixError, ValidationError):
        return None  # the file is written anew every second
    return found


def duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two or more: "about 3 hours"."""
    for unit, length in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        count = round(seconds / length)
        if count >= 2:
            return f"about {count} {unit}s"
    return "about a minute" if seconds >= MINUTE / 2 else "less than a minute"
