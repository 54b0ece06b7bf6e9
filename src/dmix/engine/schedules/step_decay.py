"""A learning rate that decays by a constant factor after each equal share of the run."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Interval, Lt

from dmix.engine.schedules.contract import Progress
from dmix.part import part


@part
def step_decay(
    lr: float,
    at: Progress,
    *,
    every_percent: Annotated[int, Interval(ge=1, le=100)],
    lr_decay: Annotated[float, Gt(0), Lt(1)],
) -> float:
    """Return lr times `lr_decay` for each `every_percent` of the run's steps that are behind.

    With 30 and 0.1, the rate of 100 epochs falls to a tenth at epochs 30, 60 and 90, the usual schedule of
    ResNets on ImageNet-1k (He et al., 2016). In contrast to `multistep` it knows no number of steps, so one
    setting serves data sets and batches of every size.

    Settings: `every_percent`, length of a stair in percent of the run; `lr_decay`, the factor.
    """
    stairs = at.step * 100 // (at.total * every_percent)
    return float(lr * lr_decay**stairs)
