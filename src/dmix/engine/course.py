"""The timetable of a run: its length, when the test split is evaluated, when its history gets a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LAST = 10


@dataclass(frozen=True)
class Course:
    """A run's timetable, in finished steps.

    Attributes
    ----------
    total: steps of the whole run.
    evaluations: when the test split is evaluated: finished epochs, or steps where the recipe counts steps.
    epoch: steps of an epoch; 0 where the recipe counts steps.
    """

    total: int
    evaluations: tuple[int, ...]
    epoch: int

    def row_ends(self, step: int) -> bool:
        """Return whether the history gets a row after `step` finished steps: at each epoch or evaluation."""
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
    """Return the timetable of a recipe; `steps_per_epoch` is used only if the recipe counts epochs."""
    if recipe["steps"]:
        total = recipe["steps"]
        plan = step_evaluations(total, recipe["eval_every"], recipe["eval_also"], recipe["eval_late"])
        return Course(total, plan, 0)
    epochs = recipe["epochs"]
    plan = epoch_evaluations(epochs, recipe["eval_every"])
    return Course(epochs * steps_per_epoch, plan, steps_per_epoch)


def epoch_evaluations(epochs: int, every: int) -> tuple[int, ...]:
    """Return the epochs (from 1) after which the test split is evaluated.

    These are all of the last 10, which the score needs, and every `every`-th before them, for the curve.
    """
    sparse = range(every, max(epochs - LAST, 0) + 1, every)
    last = range(max(epochs - LAST, 0) + 1, epochs + 1)
    return tuple(sorted({*sparse, *last}))


def step_evaluations(total: int, every: int, also: Iterable[int] = (), late: int = 0) -> tuple[int, ...]:
    """Return the numbers of finished steps, up to `total`, after which the test split is evaluated.

    These are 1, 1 + every, 1 + 2 * every and so on, and those of `also`. With `late`, the last fifth of the
    run is evaluated at 1 + multiples of `late` instead. Examples: Self-Tuning (27,005 steps, every 3,000,
    also 500) has 11 evaluations, the last at 27,001; TorchSSL (2^20 steps) has 168 at every 5,000, then 210
    at every 1,000.
    """
    begin = 1 + 4 * total // 5 if late else total  # index of the first late step, from 0
    early = (step for step in range(1, total + 1, every) if step <= begin)
    lately = (step for step in range(1, total + 1, late) if step > begin) if late else ()
    return tuple(sorted({*early, *lately, *(step for step in also if step <= total)}))
