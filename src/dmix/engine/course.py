"""When things happen in a run: its length, the evaluations of the test split, the rows of its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LAST = 10


@dataclass(frozen=True)
class Course:
    """A run's course, in finished steps.

    Attributes
    ----------
    total: steps of the whole run.
    evaluations: when the test split is evaluated, in the history's own unit, finished epochs or steps.
    epoch: steps of an epoch; 0 where the recipe counts steps.
    """

    total: int
    evaluations: tuple[int, ...]
    epoch: int

    def row_ends(self, step: int) -> bool:
        """Return whether the history has a row after `step` finished steps: each epoch or evaluation."""
        if self.epoch:
            return step % self.epoch == 0
        return step in self._evaluated or step == self.total

    def is_evaluated(self, step: int) -> bool:
        """Return whether the test split is evaluated after `step` finished steps."""
        return (step // self.epoch if self.epoch else step) in self._evaluated

    @cached_property
    def _evaluated(self) -> frozenset[int]:
        return frozenset(self.evaluations)


def course(recipe: Mapping[str, Any], steps_per_epoch: int) -> Course:
    """Return the course of a recipe; `steps_per_epoch` matters only where it counts epochs."""
    if recipe["steps"]:
        total = recipe["steps"]
        plan = step_evaluations(total, recipe["eval_every"], recipe["eval_also"], recipe["eval_late"])
        return Course(total, plan, 0)
    epochs = recipe["epochs"]
    plan = epoch_evaluations(epochs, recipe["eval_every"])
    return Course(epochs * steps_per_epoch, plan, steps_per_epoch)


def epoch_evaluations(epochs: int, every: int) -> tuple[int, ...]:
    """Return the epochs (from 1) after which the test split is evaluated.

    Every one of the last 10, which the score needs, and before them every `every`-th for the curve.
    """
    sparse = range(every, max(epochs - LAST, 0) + 1, every)
    last = range(max(epochs - LAST, 0) + 1, epochs + 1)
    return tuple(sorted({*sparse, *last}))


def step_evaluations(total: int, every: int, also: Iterable[int] = (), late: int = 0) -> tuple[int, ...]:
    """Return the numbers of finished steps, up to `total`, at which the test split is evaluated.

    1, 1 + every, 1 + 2 * every and so on, and those of `also`: of 27,005 steps with every 3,000 and also 500
    Self-Tuning has 11 evaluations, the last at 27,001. With `late`, from four fifths of the steps on there
    are others instead, at 1 + a multiple of `late`: TorchSSL has 168 of 2^20 every 5,000, then 210 every
    1,000.
    """
    begin = 1 + 4 * total // 5 if late else total  # number of the first late step, counted from 0
    early = (step for step in range(1, total + 1, every) if step <= begin)
    lately = (step for step in range(1, total + 1, late) if step > begin) if late else ()
    return tuple(sorted({*early, *lately, *(step for step in also if step <= total)}))
