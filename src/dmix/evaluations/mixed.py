"""Measures top-1 and top-2 accuracy on mixed test images (Figures 2 and 6), of supervised runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmix.data.sets.subset import subset
from dmix.engine.seeding import host_generator
from dmix.job.evaluation import Evaluation, FinishedRun
from dmix.methods.supervised import Supervised
from dmix.mixed.accuracy import SEED, measure
from dmix.mixed.draws import stratified
from dmix.mixed.mixings import series_of
from dmix.mixed.pairs import draw_pairs
from dmix.mixed.record import OWN, MixedAccuracy

# Other methods mix labelled with unlabelled images, or train on a part of the training set.
TAKES = {"method.use": ("supervised",)}
CODE = ("dmix.engine.mixed_accuracy", "dmix.policies.mixup", "dmix.policies.cutmix")

SPLIT = "test"


def measure_mixed(run: FinishedRun) -> Mapping[str, Any]:
    """Return the accuracies on pairs of test images that the run's own and common policies mixed."""
    method = run.network()
    assert isinstance(method, Supervised)
    split = run.dataset.splits[SPLIT]
    pairs = draw_pairs(split.labels, host_generator(SEED, "pairs"))
    batches = run.batches(subset(split, pairs.order), pairs.size)
    probabilities = stratified(len(pairs.partners), host_generator(SEED, "lam")).tolist()
    series = series_of(run.spec, method.policy)
    mixings = measure(method, batches, pairs.partners, probabilities, series)
    return {"images": len(split), "mixings": mixings}


def told(found: MixedAccuracy) -> str:
    """Return Top-1 and Top-2 of the run's own policy or, in a run without one, of Mixup at lam = 1/2."""
    own = found.mixings.get(OWN)
    if own is not None and own.training is not None:
        return f"own policy, top-1 {own.training.top1_percent:.2f} %, top-2 {own.training.top2_percent:.2f} %"
    half = next(point for point in found.mixings["mixup"].sweep if point.nominal == 0.5)
    return f"mixup at lam 0.5, top-1 {half.top1_percent:.2f} %, top-2 {half.top2_percent:.2f} %"


EVALUATION = Evaluation(MixedAccuracy, measure_mixed, told, packages=("scipy",))
