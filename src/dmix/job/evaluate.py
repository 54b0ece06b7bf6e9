"""Evaluates one finished run, from its weights alone, by any of the kinds in dmix.evaluations."""

from __future__ import annotations

import importlib
import time
from typing import Any

from dmix.data.sets.dataset import Dataset
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.evaluation_record import EvaluationRecord
from dmix.grid.evaluation import EvaluationPaths, evaluation_digest, refusal
from dmix.grid.expand import Grid
from dmix.grid.kinds import ROOM
from dmix.grid.paths import DATA, RunPaths
from dmix.grid.promise import refuse_edited_code
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.claim import claimed
from dmix.job.evaluation import Evaluation, FinishedRun
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
from dmix.job.run_files import files_of, weights_of
from dmix.job.say import say
from dmix.record import Record, read_record


def evaluate(grid: Grid, kind: str, name: str, options: Options) -> int:
    """Evaluate run `name` by `kind`, one of `dmix.grid.evaluation.kinds`, and write the result; return 0.

    What is done returns at once.

    Raises
    ------
    DmixError: the run is not finished or of a sort that the kind does not take, its weights or data are not
        those of its record, or an earlier result is damaged or of other weights.
    """
    facts.note()
    spec = grid.runs[name]
    if why := refusal(kind, spec):
        raise DmixError(f"{name} cannot be evaluated by --{kind}: {why}", "choose a run that it takes")
    evaluation: Evaluation[Any] = importlib.import_module(f"dmix.{ROOM}.{kind}").EVALUATION
    paths, run = EvaluationPaths(grid.tier, kind, grid.folders[name]), RunPaths(grid.tier, grid.folders[name])
    record = _record_of(run, name)
    with claimed(spec, paths.work, paths.product.parent, "evaluating this run"):
        if paths.product.exists():
            evaluation.record.read(paths.product).check_weights(paths.product, record.weights_sha256)
        else:
            files = files_of(run, record.name)
            weights = weights_of(files, record)
            with placed(options, name) as here:
                found = _evaluate(grid, kind, evaluation, record, weights, here)
            found.write(paths.product)
            say(f"{name}: {evaluation.told(found)} ({found.seconds:.1f} s)")
    return 0


def data_of(spec: RunSpec, record: Record) -> Dataset:
    """Return a run's data set, if it is the one that the run was trained and tested on.

    Raises
    ------
    DmixError: it is missing, damaged or another.
    """
    dataset = load_dataset(spec, DATA)
    if dataset.fingerprint != record.data_fingerprint:
        raise DmixError(
            f"{spec.name} was trained and tested on other data than those in {DATA}: "
            "their fingerprint differs",
            "dmix data verify checks them against their source",
        )
    return dataset


def _record_of(run: RunPaths, name: str) -> Record:
    """Return the record of a finished run; refuse one that is not finished."""
    if not run.record.exists():
        raise DmixError(
            f"{name} is not finished: it has no record {run.record}",
            f"run: dmix train {name} --tier {run.tier}",
            exit_code=1,
        )
    return read_record(run.record)


def _evaluate(
    grid: Grid, kind: str, evaluation: Evaluation[Any], record: Record, weights: bytes, options: Options
) -> EvaluationRecord:
    started, spec = time.monotonic(), grid.runs[record.name]
    device = choose_device(options.device)
    dataset = data_of(spec, record)
    run = FinishedRun(spec, grid.params, dataset, weights, device, read_options(options, device))
    measured = evaluation.measure(run)
    refuse_edited_code(spec)
    found: EvaluationRecord = evaluation.record(
        name=spec.name,
        folder=grid.folders[spec.name],
        evaluation=evaluation_digest(kind),
        weights_sha256=record.weights_sha256,
        data_edition=dataset.edition,
        data_fingerprint=dataset.fingerprint,
        seconds=round(time.monotonic() - started, 3),
        versions=facts.versions(*evaluation.packages),
        hardware=facts.hardware(device),
        **measured,
    )
    return found
