"""Compute a run's scores from its evaluations (the paper, section 4)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dmix.engine.course import LAST
from dmix.record import Scores


def scores(evaluations: Sequence[float], recipe: Mapping[str, Any]) -> Scores:
    """Return the scores of a run from the top-1 accuracies of its evaluations, in percent and in order.

    For a recipe that counts epochs, the last 10 evaluations are the last 10 epochs (`dmix.engine.course`);
    shorter runs have fewer. For one that counts steps, the median of the last 20 is a score too.
    """
    last10 = tuple(evaluations[-min(LAST, recipe["epochs"] or LAST) :])
    return Scores(
        median_last10=statistics.median(last10),
        median_last20=statistics.median(evaluations[-20:]) if recipe["steps"] else None,
        best=max(evaluations),
        last=evaluations[-1],
        last10=last10,
    )
