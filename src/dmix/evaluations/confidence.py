"""Measures calibration on test images, and pseudo-labels of unlabelled ones (docs/confidence.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dmix.confidence.measure import classify, summarise
from dmix.confidence.record import Confidence, RunConfidence
from dmix.data.sets.dataset import AnySplit
from dmix.data.sets.subset import subset
from dmix.engine.assemble import EVALUATION_PIXELS
from dmix.engine.parts import load_labels
from dmix.job.evaluation import Evaluation, FinishedRun

# The networks of other runs cannot be rebuilt from their weights alone, without a class relation.
TAKES = {"task": ("supervised", "semi")}

BINARY = "sigmoid"


def measure_confidence(run: FinishedRun) -> Mapping[str, Any]:
    """Return the confidence on the test images and, of semi-supervised runs, on unlabelled ones."""
    spec, method = run.spec, run.network()
    binary = run.params.objectives[spec.axes["objective"]].group == BINARY
    side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]

    def of(split: AnySplit, threshold: float | None = None) -> Confidence:
        batches = run.batches(split, max(1, EVALUATION_PIXELS // side**2))
        return summarise(classify(method, batches, binary=binary), threshold)

    labels = load_labels(spec, run.dataset) if spec.task == "semi" else None
    unlabelled = None
    if labels is not None:
        # The network has learned the classes of labelled images, which are unlabelled data too.
        rows = np.setdiff1d(labels.unlabelled, labels.labelled)
        threshold = spec.settings["method"].get("threshold")
        unlabelled = of(subset(run.dataset.splits["train"], rows), threshold)
    return {"test": of(run.dataset.splits["test"]), "unlabelled": unlabelled}


def told(found: RunConfidence) -> str:
    """Return accuracy and calibration on test images, and the pseudo-labels of unlabelled ones."""
    test = f"top-1 {found.test.accuracy:.2f} %, calibration error {found.test.calibration_error:.2f} points"
    confident = found.unlabelled.confident if found.unlabelled else None
    if found.unlabelled is None or confident is None or confident.accuracy is None:
        return test
    share = found.unlabelled.confident_percent
    return f"{test}; {share:.1f} % confident pseudo-labels, {confident.accuracy:.2f} % of them right"


EVALUATION = Evaluation(RunConfidence, measure_confidence, told)
