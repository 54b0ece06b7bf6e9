"""Evaluates one finished run, from its weights alone, by any of the kinds in dmix.evaluations."""

from __future__ import annotations

import hashlib
import importlib
import time
from typing import Any

from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.evaluation_record import EvaluationRecord
from dmix.grid.damage import absent, way_out, way_to_weights
from dmix.grid.evaluation import EvaluationPaths, evaluation_digest, refusal
from dmix.grid.expand import Grid
from dmix.grid.kinds import ROOM
from dmix.grid.paths import DATA, RunPaths
from dmix.grid.promise import refuse_edited_code
from dmix.job import facts
from dmix.job.claim import claimed
from dmix.job.evaluation import Evaluation, FinishedRun
from dmix.job.options import Options, read_options
from dmix.job.placed import placed
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
            weights = _weights_of(run, record)
            with placed(options, name) as here:
                found = _evaluate(grid, kind, evaluation, record, weights, here)
            found.write(paths.product)
            say(f"{name}: {evaluation.told(found)} ({found.seconds:.1f} s)")
    return 0


def _record_of(run: RunPaths, name: str) -> Record:
    """Return the record of a finished run; refuse one that is not finished."""
    if not run.record.exists():
        raise DmixError(
            f"{name} is not finished: it has no record {run.record}",
            f"run: dmix train {name} --tier {run.tier}",
            exit_code=1,
        )
    return read_record(run.record)


def _weights_of(run: RunPaths, record: Record) -> bytes:
    """Return the content of the run's file of weights; refuse what is not as the record says."""
    if absent(run.weights):
        raise DmixError(
            f"the weights of {record.name} are not here: {run.weights}", way_to_weights(run), exit_code=1
        )
    try:
        content = run.weights.read_bytes()
    except OSError as error:
        raise DmixError(
            f"cannot read {run.weights}: {error.strerror}",
            way_out(run, record.name),
            exit_code=1,
        ) from error
    if hashlib.sha256(content).hexdigest() != record.weights_sha256:
        raise DmixError(
            f"{run.weights} was cut or edited: its sha256 is not the one in record.json",
            way_out(run, record.name),
            exit_code=1,
        )
    return content


def _evaluate(
    grid: Grid, kind: str, evaluation: Evaluation[Any], record: Record, weights: bytes, options: Options
) -> EvaluationRecord:
    started, spec = time.monotonic(), grid.runs[record.name]
    device = choose_device(options.device)
    dataset = load_dataset(spec, DATA)
    if dataset.fingerprint != record.data_fingerprint:
        raise DmixError(
            f"{spec.name} was trained and tested on other data than those in {DATA}: "
            "their fingerprint differs",
            "dmix data verify checks them against their source",
        )
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
