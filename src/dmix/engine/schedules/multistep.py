"""A learning rate that decays by a constant factor at given steps."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt, Len, Lt

from dmix.engine.schedules.contract import Progress
from dmix.part import part


@part
def multistep(
    lr: float,
    at: Progress,
    *,
    milestones: Annotated[tuple[int, ...], Len(1)],
    lr_decay: Annotated[float, Gt(0), Lt(1)],
) -> float:
    """Return lr times `lr_decay` for each milestone that the step has reached.

    Settings: `milestones`, step numbers from 0: step m is the first with the rate after milestone m;
    `lr_decay`, the factor.
    """
    return float(lr * lr_decay ** sum(milestone <= at.step for milestone in milestones))
