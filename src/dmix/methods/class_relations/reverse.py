"""The reverse estimator of Co-Tuning (You et al., 2020): regression from source to target classes."""

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
from dmix.methods.transfer.source_regression import learn_class_relation
from dmix.part import part

# Weights of the data relative to the penalty |W|^2 / 2, from Co-Tuning's published code; the one best on
# held-out images is used.
STRENGTHS = (1e4, 3e3, 1e3, 3e2, 1e2, 3e1, 1e1, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
SEED = 0  # fixed, so that the held-out images depend on the labelled ones only


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread within the block."""
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
    """Return p(source | target) by Bayes's rule from a calibrated regression of p(target | source).

    If a class has too few labelled images to hold one out, the direct estimator is used, and the result's
    `fallback` says so.

    Parameters
    ----------
    source_scale: calibration factor of the pre-trained classifier's logits (`source_probabilities`).
    fit_percent: percentage of each class's labelled images that the regression is fitted to; the others
        select its strength and calibrate it (`dmix.data.labels.splits.hold_out`).
    largest_scale: largest calibration factor (`dmix.methods.transfer.calibration.fit_scale`).

    Raises
    ------
    DmixError: the regression does not converge, or the images are not files with paths.
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
        # Sums depend on the number of threads, and the optimiser's operations are too short for several.
        with threadpool_limits(1, user_api="blas"), one_thread():
            found = learn_class_relation(
                fit, held_out, evidence.classes, strengths=STRENGTHS, largest_scale=largest_scale
            )
    except ValueError as error:
        raise DmixError(
            f"the class relation of {dataset.name} cannot be learned: {error}",
            "set relation.use to direct in params.yaml",
            exit_code=1,
        ) from error
    return Learned(
        found.matrix, "reverse", strength=found.strength, scale=found.scale, accuracy=found.accuracy
    )
