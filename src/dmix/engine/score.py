"""From the readings of a run to its scores (the paper, section 4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dmix.engine.schedule import LAST
from dmix.record import Scores


def scores(readings: Sequence[float], recipe: Mapping[str, Any]) -> Scores:
    """Return the scores of top-1 readings in percent, in the order they were taken.

    The last 10 epochs are all read (`dmix.engine.schedule.readings`); shorter runs have fewer. Of a recipe
    that counts steps the last 10 readings take their place, and the median of the last 20 is a score too.
    """
    last10 = tuple(readings[-min(LAST, recipe["epochs"] or LAST) :])
    return Scores(
        median_last10=statistics.median(last10),
        median_last20=statistics.median(readings[-20:]) if recipe["steps"] else None,
        best=max(readings),
        last=readings[-1],
        last10=last10,
    )
