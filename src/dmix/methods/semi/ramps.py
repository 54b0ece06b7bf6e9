"""How weights and thresholds grow during training: functions of the step, or of the share of the run."""

from __future__ import annotations

import math
from typing import Literal

SLOPE = 5  # of the exponential and the logarithmic schedule of training signal annealing


def linear(step: int, steps: float) -> float:
    """Return the share of the full weight in `step`, from 0: it is reached after `steps`, 0 for at once."""
    return min(1.0, step / steps) if steps else 1.0


def signal_annealing(kind: Literal["none", "linear", "exp", "log"], done: float, classes: int) -> float:
    """Return UDA's upper threshold on labelled rows after a share of the run: from about 1 / classes to 1.

    A labelled row counts as long as the network is not surer of it than this; "none" counts all.
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
