"""What a learning-rate schedule is: a pure function of the rate and of the step's place in the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Progress:
    """A step's place in the run.

    Attributes
    ----------
    step: number of the step, from 0 to total - 1. total: steps of the whole run.
    steps_per_epoch: 0 where the recipe counts steps and not epochs.
    """

    step: int
    total: int
    steps_per_epoch: int


class Schedule(Protocol):
    """(lr, at) -> the learning rate of the step at `at`, of a run whose recipe says `lr`.

    A parameter group with an `lr` of its own (`dmix.backbones.parameter_group`) is scheduled from that one.
    Its other settings stand in place of the schedule's of the same name, and those that the schedule does
    not have are left aside: the mixer of AutoMix has an own `lr_end`, which means nothing to a multistep.

    A setting named `warmup_epochs` is held to the recipe before anything runs: it must be below its epochs.
    """

    def __call__(self, lr: float, at: Progress) -> float:
        """Return the learning rate."""
        ...
