"""Ramps of weights and thresholds: functions of the step, or of the finished fraction of the run."""

from __future__ import annotations

import math
from typing import Literal

SLOPE = 5  # exponent's scale in the schedules "exp" and "log" of training signal annealing


def linear(step: int, steps: float) -> float:
    """Return the linear ramp min(1, step / steps), `step` from 0; 1 if `steps` is 0."""
    return min(1.0, step / steps) if steps else 1.0


def signal_annealing(kind: Literal["none", "linear", "exp", "log"], done: float, classes: int) -> float:
    """Return UDA's training signal annealing threshold, from about 1 / classes to 1; "none" is 1.

    Labelled rows predicted with a higher probability than this do not count.

    Parameters
    ----------
    done: finished fraction of the run, in [0, 1].
    """
    match kind:
        case "none":
            return 1.0
        case "linear":
            share = done
        case "exp":
            share = math.exp((done - 1) * SLOPE)
        case "log":
            share = 1 - math.exp(-done * SLOPE)
    return share * (1 - 1 / classes) + 1 / classes
