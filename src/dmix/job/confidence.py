"""Evaluate how sure one finished run is of its images, and how often right, from its weights alone."""

from __future__ import annotations

import json
import time

import numpy as np
import safetensors.torch
import torch

from dmix.confidence.measure import classify, summarise
from dmix.confidence.record import WAY_OUT, Confidence, RunConfidence, read_confidence
from dmix.data.loading import feed
from dmix.data.sets.dataset import AnySplit
from dmix.data.sets.subset import subset
from dmix.engine.assemble import EVALUATION_PIXELS, assemble
from dmix.engine.device import choose_device
from dmix.engine.evaluate import Batches
from dmix.engine.parts import load_dataset, load_labels, load_part
from dmix.errors import DmixError
from dmix.files import sweep, write_text
from dmix.grid.confidence import ConfidencePaths, confidence_digest, has_confidence
from dmix.grid.expand import Grid
from dmix.grid.paths import DATA, RunPaths
from dmix.grid.promise import refuse_edited_code
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.mixed_accuracy import record_of, weights_of
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
from dmix.job.recorded import forget
from dmix.job.say import say
from dmix.lock import held
from dmix.record import Record

BINARY = "sigmoid"


def evaluate_confidence(grid: Grid, name: str, options: Options) -> int:
    """Evaluate the confidence of run `name` and write confidence.json; return 0.

    What is done returns at once.

    Raises
    ------
    DmixError: the run is not finished or of another kind, its weights or data are not those of its record, or
        an earlier result is damaged or of other weights.
    """
    facts.note()
    spec = grid.runs[name]
    if not has_confidence(spec):
        raise DmixError(
            f"{name}: the confidence is evaluated of supervised and semi-supervised runs, not of {spec.task}",
            "choose a run whose name begins with supervised/ or semi/",
        )
    paths, run = ConfidencePaths(grid.tier, grid.folders[name]), RunPaths(grid.tier, grid.folders[name])
    record = record_of(grid, name)
    # For people who look up a folder by its digests; also shows early that the folder can be written.
    write_text(paths.work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    lock = paths.work / "lock"
    with held(lock, lambda holder: say(f"waiting: {holder} is evaluating this run ({lock})")):
        for place in (paths.work, paths.product.parent):
            sweep(place)
        if not paths.product.exists():
            weights = weights_of(run, record, grid.tier)
            with placed(options, name) as here:
                found = _evaluate(grid, name, record, weights, here)
            found.write(paths.product)
            say(f"{name}: {_told(found)} ({found.seconds:.1f} s)")
        elif read_confidence(paths.product).weights_sha256 != record.weights_sha256:
            raise DmixError(
                f"{paths.product} is of other weights than those in the run's record", WAY_OUT, exit_code=1
            )
        forget(paths.failure)
    return 0


def _evaluate(grid: Grid, name: str, record: Record, weights: bytes, options: Options) -> RunConfidence:
    started, spec = time.monotonic(), grid.runs[name]
    device = choose_device(options.device)
    dataset = load_dataset(spec, DATA)
    if dataset.fingerprint != record.data_fingerprint:
        raise DmixError(
            f"{name} was trained and tested on other data than those in {DATA}: their fingerprint differs",
            "dmix data verify checks them against their source",
        )
    how = read_options(options, device)
    method = assemble(spec, dataset, device, how).method
    method.load_state_dict(safetensors.torch.load(weights))
    binary = grid.params.objectives[spec.axes["objective"]].group == BINARY

    def of(split: AnySplit, threshold: float | None = None) -> Confidence:
        batches = _batches(spec, split, how, device)
        return summarise(classify(method, batches, binary=binary), threshold)

    labels = load_labels(spec, dataset) if spec.task == "semi" else None
    unlabelled = None
    if labels is not None:
        # The network has learned the classes of labelled images, which are unlabelled data too.
        rows = np.setdiff1d(labels.unlabelled, labels.labelled)
        threshold = spec.settings["method"].get("threshold")
        unlabelled = of(subset(dataset.splits["train"], rows), threshold)
    test = of(dataset.splits["test"])
    refuse_edited_code(spec)
    return RunConfidence(
        name=name,
        folder=grid.folders[name],
        evaluation=confidence_digest(),
        weights_sha256=record.weights_sha256,
        data_edition=dataset.edition,
        data_fingerprint=dataset.fingerprint,
        test=test,
        unlabelled=unlabelled,
        seconds=round(time.monotonic() - started, 3),
        versions=facts.versions(),
        hardware=facts.hardware(device),
    )


def _batches(spec: RunSpec, split: AnySplit, how: feed.ReadOptions, device: torch.device) -> Batches:
    """Return the images of a split in the run's test-time view, without augmentation."""
    recipe = spec.settings["recipe"]
    side = spec.settings["view"].get("size") or spec.settings["dataset"]["image_size"]
    return feed.evaluation(
        split,
        load_part("view", spec.settings["view"]),
        feed.ReadOptions(how.workers),  # each image is read once, which no cache makes faster
        batch_size=max(1, EVALUATION_PIXELS // side**2),
        mean=recipe["mean"],
        std=recipe["std"],
        device=device,
    )


def _told(found: RunConfidence) -> str:
    """Return accuracy and calibration on test images, and the pseudo-labels of unlabelled ones."""
    test = f"top-1 {found.test.accuracy:.2f} %, calibration error {found.test.calibration_error:.2f} points"
    confident = found.unlabelled.confident if found.unlabelled else None
    if found.unlabelled is None or confident is None or confident.accuracy is None:
        return test
    share = found.unlabelled.confident_percent
    return f"{test}; {share:.1f} % confident pseudo-labels, {confident.accuracy:.2f} % of them right"
