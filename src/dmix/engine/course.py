"""When things happen in a run: its length, its readings of the test split, the rows of its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dmix.engine.schedule import readings
from dmix.engine.steps import step_readings


@dataclass(frozen=True)
class Course:
    """A run's course, in finished steps.

    Attributes
    ----------
    total: steps of the whole run.
    readings: the steps after which the test split is evaluated; in the history's own unit, epochs or steps.
    epoch: steps of an epoch; 0 where the recipe counts steps.
    """

    total: int
    readings: tuple[int, ...]
    epoch: int

    def row_ends(self, step: int) -> bool:
        """Return whether the history has a row after `step` finished steps: each epoch, or each reading."""
        if self.epoch:
            return step % self.epoch == 0
        return step in self._read or step == self.total

    def is_read(self, step: int) -> bool:
        """Return whether the test split is evaluated after `step` finished steps."""
        return (step // self.epoch if self.epoch else step) in self._read

    @cached_property
    def _read(self) -> frozenset[int]:
        return frozenset(self.readings)


def course(recipe: Mapping[str, Any], steps_per_epoch: int) -> Course:
    """Return the course of a recipe; `steps_per_epoch` matters only where it counts epochs."""
    if recipe["steps"]:
        total = recipe["steps"]
        read = step_readings(total, recipe["eval_every"], recipe["eval_also"], recipe["eval_late"])
        return Course(total, read, 0)
    epochs = recipe["epochs"]
    return Course(epochs * steps_per_epoch, readings(epochs, recipe["eval_every"]), steps_per_epoch)
