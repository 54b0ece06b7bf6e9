"""From the readings of a run to its scores (the paper, section 4)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from dmix.engine.schedule import LAST
from dmix.record import Scores


def scores(readings: Sequence[float], epochs: int) -> Scores:
    """Return the scores of top-1 readings in percent, in the order they were taken.

    The last 10 epochs are all read (`dmix.engine.schedule.readings`); shorter runs have fewer.
    """
    last10 = tuple(readings[-min(LAST, epochs) :])
    return Scores(
        median_last10=statistics.median(last10), best=max(readings), last=readings[-1], last10=last10
    )
