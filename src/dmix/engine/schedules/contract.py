"""The contract of learning-rate schedules: a pure function of the base rate and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """The position of a step in the run.

    Attributes
    ----------
    step: number of the step, from 0 to total - 1. total: steps of the whole run.
    steps_per_epoch: 0 if the recipe counts steps.
    """

    step: int
    total: int
    steps_per_epoch: int


class Schedule(Protocol):
    """(lr, at) -> the learning rate of the step at `at`, from the base rate `lr`.

    `lr` is the recipe's, or that of a parameter group with its own (`dmix.backbones.parameter_group`). A
    group's other settings replace the schedule's of the same name; those that the schedule does not have are
    ignored: AutoMix's mixer has an `lr_end`, which multistep does not use.

    A setting named `warmup_epochs` is checked before anything runs: it must be below the recipe's epochs.
    """

    def __call__(self, lr: float, at: Progress) -> float:
        """Return the learning rate."""
        ...
