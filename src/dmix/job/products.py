"""Writes the results of a finished run: weights, history and, last, its record."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import safetensors.torch
import torch

from dmix.data.labels.label_split import LabelSplit
from dmix.data.sets.dataset import Dataset
from dmix.engine.parts import load_labels
from dmix.engine.score import scores
from dmix.files import atomic_write, write_text
from dmix.grid.code import accepted, code_digest, code_modules, code_parts
from dmix.grid.history import ACCURACY, accuracies, history_csv
from dmix.grid.paths import RunPaths
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.session import Session
from dmix.record import Labels, Record


def write_products(
    spec: RunSpec, paths: RunPaths, dataset: Dataset, session: Session, device: torch.device
) -> Record:
    """Write weights, history and, last, the record; before it, delete the resume state.

    The copies of record and history that are kept in the work folder come first: a job that is killed before
    the record is written leaves no resume state behind, and the next one restores the record from the copy.
    """
    trainer, labels = session.trainer, load_labels(spec, dataset)
    weights = {name: value.contiguous() for name, value in trainer.evaluated_state().items()}
    blob = safetensors.torch.save(weights)
    recipe = spec.settings["recipe"]
    found = {
        column.removeprefix(ACCURACY): scores(
            [row[column] for row in trainer.history if column in row], recipe
        )
        for column in accuracies(trainer.history)
    }
    primary = next(iter(found))
    seconds = session.seconds
    images = trainer.total * trainer.loader.images_per_step
    commit, dirty = facts.git_state()
    history = history_csv(trainer.history)
    record = Record(
        name=spec.name,
        spec_digest=spec.digest(),
        code_digest=code_digest(spec),
        code_modules=code_modules(spec),
        code_parts=code_parts(spec),
        accepted=accepted(spec),
        spec=spec.identity(),
        seed=spec.seed,
        data_edition=dataset.edition,
        data_fingerprint=dataset.fingerprint,
        git_commit=commit,
        git_dirty=dirty,
        versions=facts.versions(),
        hardware=facts.hardware(device, session.world.size),
        precision=recipe["precision"],
        started=session.started,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        gpu_hours=round(session.process_seconds / 3600, 5) if device.type == "cuda" else 0.0,
        images_per_second=round(images / seconds, 1),
        resumes=session.resumes,
        parameters=sum(p.numel() for p in trainer.method.parameters()),
        evaluations=trainer.course.evaluations,
        scores=found,
        primary=primary,
        score=getattr(found[primary], recipe["score"]),
        weights_sha256=hashlib.sha256(blob).hexdigest(),
        history_sha256=hashlib.sha256(history.encode()).hexdigest(),
        labels=_labels(labels),
        relation_sha256=session.used.get("relation"),
        init_sha256=session.used.get("weights"),
    )
    if labels is not None:
        write_text(paths.labelled, "".join(f"{name}\n" for name in labels.names))
    with atomic_write(paths.weights) as stream:
        stream.write(blob)
    kept = paths.work / "finished"
    write_text(kept / "history.csv", history)
    record.write(kept / "record.json")
    write_text(paths.history, history)
    for left in paths.resume_state:
        left.unlink(missing_ok=True)
    record.write(paths.record)
    return record


def _labels(split: LabelSplit | None) -> Labels | None:
    if split is None:
        return None
    return Labels(labelled=len(split.labelled), unlabelled=len(split.unlabelled), sha256=split.digest)
