"""Learn one class relation by its name, and write its matrix and record."""

from __future__ import annotations

import hashlib
import time

import safetensors.torch

from dmix.class_relation_record import Relation, read_relation
from dmix.engine.class_relation import relate as learn
from dmix.engine.device import choose_device
from dmix.engine.parts import load_dataset, load_labels
from dmix.files import atomic_write, sha256
from dmix.grid.code import code_digest
from dmix.grid.expand import Grid, folder
from dmix.grid.paths import DATA, ClassRelationPaths
from dmix.grid.promise import refuse_edited_code
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.claim import claimed
from dmix.job.given import weights_of
from dmix.job.options import Options, read_options
from dmix.job.patience import patiently
from dmix.job.placed import placed
from dmix.job.say import say
from dmix.methods.transfer.co_tuning import MATRIX

WRITE_SECONDS = 120.0
"""How long a finished job tries to write its results."""


def relate(grid: Grid, name: str, options: Options) -> int:
    """Learn the class relation `name` of `grid.class_relations`, write its matrix, then its record; return 0.

    A finished one returns at once. There are no checkpoints: an interrupted job starts anew.

    Raises
    ------
    DmixError: bad data or weights, or a folder that cannot be written.
    """
    facts.note()
    spec = grid.class_relations[name]
    paths = ClassRelationPaths(grid.tier, folder(spec))
    with claimed(spec, paths.work, paths.results, "learning this class relation"):
        if not _finished(paths):
            with placed(options, name) as here:
                record = _learn(grid, spec, paths, here)
            say(f"{name}: {_told(record)} ({record.seconds:.1f} s)")
    return 0


def _finished(paths: ClassRelationPaths) -> bool:
    """Return whether the matrix and its record exist, agree, and have the digests in the path."""
    record = read_relation(paths.record)
    if record is None or f"{record.name}-{record.spec_digest}-{record.code_digest}" != paths.folder:
        return False
    return paths.matrix.exists() and sha256(paths.matrix) == record.matrix_sha256


def _learn(grid: Grid, spec: RunSpec, paths: ClassRelationPaths, options: Options) -> Relation:
    started = time.monotonic()
    device, weights = choose_device(options.device), weights_of(grid, spec)
    dataset = load_dataset(spec, DATA)
    learned = learn(spec, dataset, device, read_options(options, device), weights)
    refuse_edited_code(spec)
    assert weights is not None  # `learn` has refused None
    blob = safetensors.torch.save({MATRIX: learned.matrix.contiguous()})
    labels = load_labels(spec, dataset)
    record = Relation(
        name=spec.name,
        spec_digest=spec.digest(),
        code_digest=code_digest(spec),
        spec=spec.identity(),
        data_edition=dataset.edition,
        data_fingerprint=dataset.fingerprint,
        labelled=len(dataset.splits["train"] if labels is None else labels.labelled),
        labelled_sha256=None if labels is None else labels.digest,
        estimator=learned.estimator,
        fallback=learned.fallback,
        strength=learned.strength,
        scale=learned.scale,
        accuracy=learned.accuracy,
        seconds=round(time.monotonic() - started, 3),
        versions=facts.versions("scipy"),
        hardware=facts.hardware(device),
        matrix_sha256=hashlib.sha256(blob).hexdigest(),
        init_sha256=sha256(weights),
    )
    patiently(lambda: _write(paths, blob, record), WRITE_SECONDS, lambda: True)
    return record


def _write(paths: ClassRelationPaths, blob: bytes, record: Relation) -> None:
    with atomic_write(paths.matrix) as stream:
        stream.write(blob)
    record.write(paths.record)


def _told(record: Relation) -> str:
    """Return the message about a new class relation; it always says if the estimator was replaced."""
    if record.fallback:
        return f"{record.estimator} estimator, because {record.fallback}"
    if record.accuracy is None:
        return f"{record.estimator} estimator"
    return f"{record.estimator} estimator, {100 * record.accuracy:.1f} % of the held-out images right"
