"""The reverse estimator of Co-Tuning (You et al., 2020): by regression from source to target classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated

import numpy as np
import torch
from annotated_types import Gt, Interval
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from dmix.data.labels import splits
from dmix.engine.evidence import Evidence, Learned
from dmix.errors import DmixError
from dmix.methods.class_relations.direct import direct
from dmix.methods.transfer.class_relation import source_probabilities
from dmix.methods.transfer.source_regression import learn_relationship
from dmix.part import part

# Weights of the data against that of |W|^2 / 2, of which the best on held-out images is taken: those of
# Co-Tuning's published code.
STRENGTHS = (1e4, 3e3, 1e3, 3e2, 1e2, 3e1, 1e1, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
SEED = 0  # of the images that are held out: they follow from the labelled ones


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in this thread alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@part
def reverse(
    evidence: Evidence,
    *,
    source_scale: Annotated[float, Gt(0)],
    fit_percent: Annotated[int, Interval(ge=1, le=99)],
    largest_scale: Annotated[float, Gt(1)],
) -> Learned:
    """Return p(source | target) by Bayes's rule from p(target | source), a calibrated regression.

    Where a class has too few labelled images to hold one out, the direct estimator stands in, and the result
    says so.

    Parameters
    ----------
    source_scale: what calibrates the pre-trained classifier (`relationship.source_probabilities`).
    fit_percent: percentage of each class's labelled images that the regression is fitted to; the others
        choose its strength and calibrate it (`dmix.data.labels.splits.hold_out`).
    largest_scale: bound of that calibration (`dmix.methods.transfer.calibration.fit_scale`).

    Raises
    ------
    DmixError: the regression does not converge, or the images have no paths.
    """
    dataset, rows = evidence.dataset, evidence.rows
    fewest = splits.fewest_of_a_class(dataset, rows)
    if fewest < 2:
        reason = f"a class has {fewest} labelled image, and none can be held out"
        return replace(direct(evidence, source_scale=source_scale), fallback=reason)
    probabilities = source_probabilities(evidence.logits, source_scale)
    drawn = splits.hold_out(dataset, rows, fit_percent, SEED)
    places = (torch.from_numpy(np.searchsorted(rows, chosen)) for chosen in drawn)
    fit, held_out = ((probabilities[place], evidence.labels[place]) for place in places)
    try:
        # Sums depend on how many threads share them, and the optimiser's short ones wait for each other.
        with threadpool_limits(1, user_api="blas"), one_thread():
            found = learn_relationship(
                fit, held_out, evidence.classes, strengths=STRENGTHS, largest_scale=largest_scale
            )
    except ValueError as error:
        raise DmixError(
            f"the relationship of classes of {dataset.name} cannot be learned: {error}",
            "set relation.use to direct in params.yaml",
            exit_code=1,
        ) from error
    return Learned(
        found.matrix, "reverse", strength=found.strength, scale=found.scale, accuracy=found.accuracy
    )
