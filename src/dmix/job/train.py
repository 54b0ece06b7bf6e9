"""The life of one run: from its name to its record, across kills and restarts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from dmix.class_relation_record import read_relation
from dmix.data.labels.label_split import LabelSplit
from dmix.data.loading.feed import Reading
from dmix.data.sets.dataset import Dataset
from dmix.data.sets.marker import sha256
from dmix.engine.assemble import Given, assemble
from dmix.engine.device import choose_device
from dmix.engine.distributed import World, joined, local_rank
from dmix.engine.parts import load_dataset, load_labels
from dmix.engine.score import scores
from dmix.engine.trainer import Row, Trainer
from dmix.errors import DmixError
from dmix.files import atomic_write, write_text
from dmix.grid.code import code_digest, code_modules
from dmix.grid.expand import Grid, folder
from dmix.grid.paths import DATA, RelationPaths, RunPaths
from dmix.grid.spec import RunSpec
from dmix.job import checkpoint, facts, lock
from dmix.job.signals import AGAIN, Stop, watched
from dmix.job.watch import Watch
from dmix.record import Labels, Record, read_record

CACHE = DATA / "cache"
MOST_WORKERS = 16


@dataclass(frozen=True)
class Options:
    """How to train, none of which changes a number on the same device.

    `tensorboard` is a folder for event files, or None. `workers` are the processes that decode images on
    disk, beside each that trains; None is none on a CPU, where runs share the cores, and the process's share
    of the job's cores (or 16) on a GPU.
    """

    device: str = "auto"
    checkpoint_seconds: float = 60.0
    tensorboard: Path | None = None
    workers: int | None = None


def train(grid: Grid, name: str, options: Options) -> int:
    """Train the run `name` of `grid` to its record, and return the exit status: 0, or 75 for "again".

    A finished run returns at once; a run with resume state continues from it, on a CPU bit-identically.
    Started by torchrun, all processes call this together, and the first one writes.

    Raises
    ------
    DmixError: bad data, a folder that cannot be written, or a loss that is not finite.
    """
    spec = grid.runs[name]
    paths = RunPaths(grid.tier, grid.folders[name])
    with ExitStack() as held, joined(options.device) as world:
        if not world.lead(lambda: _claim(spec, paths, held)):
            return 0
        try:
            given = Given(weights_of(grid, spec), relation_of(grid, spec))
            return _train_claimed(spec, given, paths, options, world)
        except DmixError as error:
            write_text(paths.failure, str(error) + "\n")
            raise


def _claim(spec: RunSpec, paths: RunPaths, held: ExitStack) -> bool:
    """Make the run's folders, take its lock, which `held` releases, and say whether there is work to do."""
    try:
        paths.work.mkdir(parents=True, exist_ok=True)
        paths.results.mkdir(parents=True, exist_ok=True)
        # For people, who find a folder by its digests; and it shows early that the folder can be written.
        write_text(paths.work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    except OSError as error:
        raise DmixError(
            f"cannot write to {error.filename}: {error.strerror}",
            "make results/ and work/ writable folders, then run the same command again",
            exit_code=1,
        ) from error
    held.enter_context(lock.held(paths.lock, lambda text: print(text, flush=True)))
    if _finished(paths):
        return False
    paths.failure.unlink(missing_ok=True)
    return True


def _finished(paths: RunPaths) -> bool:
    """Whether the run has its record; one that Snakemake removed is put back from the work folder."""
    kept = paths.work / "finished"
    if not paths.record.exists() and (kept / "record.json").exists() and paths.weights.exists():
        write_text(paths.history, (kept / "history.csv").read_text())
        write_text(paths.record, (kept / "record.json").read_text())
    if not paths.record.exists():
        return False
    # The path promises what is inside; a record put there by hand that says otherwise is trained again.
    record = read_record(paths.record)
    return f"{record.name}-{record.spec_digest}-{record.code_digest}" == paths.folder


def weights_of(grid: Grid, spec: RunSpec) -> Path | None:
    """Return the file of the weights that a run, or a relationship, starts from; None is a random start."""
    if spec.source is not None:
        return RunPaths(grid.tier, grid.folders[spec.source.name]).weights
    init = spec.settings["recipe"]["init"]
    return None if init == "random" else DATA / "real" / init


def relation_of(grid: Grid, spec: RunSpec) -> Path | None:
    """Return the file of the relationship that a run is taught; None is no such thing.

    Raises
    ------
    DmixError: it was not learned yet.
    """
    if spec.relation is None:
        return None
    paths = RelationPaths(grid.tier, folder(spec.relation))
    if not (paths.record.exists() and paths.matrix.exists()):
        raise DmixError(
            f"{spec.name} is taught a relationship of classes that was not learned yet: {paths.record}",
            f"run: dmix relate {spec.relation.name} --tier {grid.tier}",
        )
    return paths.matrix


def check_relation(spec: RunSpec, dataset: Dataset, matrix: Path, used: Mapping[str, str]) -> None:
    """Compare what a relationship was learned from with what the run that is taught it has.

    Parameters
    ----------
    matrix: the relationship, beside its record. used: sha256 of the run's files, by their names in `Given`.

    Raises
    ------
    DmixError: they differ, or the matrix is not the one of its record.
    """
    record, labels = read_relation(matrix.with_name("relation.json")), load_labels(spec, dataset)
    learned = (
        {}
        if record is None
        else {
            "matrix": record.matrix_sha256,
            "labelled images": record.labelled_sha256,
            "start weights": record.init_sha256,
            "data": record.data_fingerprint,
        }
    )
    ours = {
        "matrix": used["relation"],
        "labelled images": None if labels is None else labels.digest,
        "start weights": used.get("weights"),
        "data": dataset.fingerprint,
    }
    if wrong := [what for what, value in ours.items() if learned.get(what) != value]:
        raise DmixError(
            f"{spec.name}: the relationship {matrix} has other {' and '.join(wrong)} than this run",
            f"delete {matrix.parent}; the workflow, or dmix relate, learns it again",
        )


def own_cores() -> int:
    """Return this process's share of the cores of its job, at least one."""
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes that torchrun started here
    return max(1, len(os.sched_getaffinity(0)) // together)


def reading(options: Options, device: torch.device) -> Reading:
    """Return how a job reads images on disk."""
    workers = options.workers
    if workers is None:
        workers = min(MOST_WORKERS, own_cores()) if device.type == "cuda" else 0
    return Reading(workers, CACHE)


def _train_claimed(spec: RunSpec, given: Given, paths: RunPaths, options: Options, world: World) -> int:
    device = choose_device(options.device, local_rank())
    dataset = load_dataset(spec, DATA)
    trainer = assemble(spec, dataset, device, reading(options, device), given)
    used = {name: sha256(path) for name, path in vars(given).items() if path is not None}
    if given.relation is not None:
        check_relation(spec, dataset, given.relation, used)
    session = _Session(trainer, paths, options, world, used)
    session.restore()
    # Signals stay noted until everything is written: a scheduler may send a second one during the save.
    with watched() as stop:
        with session, Watch(spec.name, trainer, paths.progress) if world.leads else nullcontext() as watch:
            finished = trainer.run(lambda _: session.after_step(stop, watch))
        if not finished:
            session.save()
            assert session.stopped_by is not None
            if world.leads:
                print(
                    f"{spec.name}: {session.stopped_by.name}: stopped at step {trainer.step} of "
                    f"{trainer.total}, saved; the same command continues",
                    flush=True,
                )
            return AGAIN
        if world.leads:
            record = _write_products(spec, paths, dataset, session, device)
            print(f"{spec.name}: top-1 {record.score:.2f} % ({record.seconds:.1f} s)")
        # A process that leaves early may be taken for one that died, and torchrun then ends the others.
        world.wait()
    return 0


class _Session:
    """Time, restarts and checkpoints of one run.

    `stopped_by` is the signal on which all processes stop, `used` the sha256 of the files it was made of.
    """

    def __init__(
        self, trainer: Trainer, paths: RunPaths, options: Options, world: World, used: Mapping[str, str]
    ) -> None:
        self.trainer = trainer
        self.paths = paths
        self.options = options
        self.world = world
        self.used = used
        self.stopped_by: signal.Signals | None = None
        self.resumes = 0
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._seconds_before = 0.0
        self._clock = time.monotonic()
        self._saved = self._clock
        self._board = _open_board(options.tensorboard, trainer.label) if world.leads else None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *error: object) -> None:
        if self._board:
            self._board.close()  # writes out what it still holds

    @property
    def seconds(self) -> float:
        """Seconds of training over all sessions."""
        return self._seconds_before + time.monotonic() - self._clock

    def restore(self) -> None:
        """Continue from the checkpoint, where there is one."""
        # To the host: an optimiser counts its steps there, and would wait for a device's count at every step.
        state = checkpoint.load(self.paths.checkpoint, torch.device("cpu"))
        if state is None:
            return
        self.trainer.load_state_dict(state["trainer"])
        self.resumes = state["resumes"] + 1
        self.started = state["started"]
        self.used = state["used"]  # the files may be others by now
        self._seconds_before = state["seconds"]
        if self.world.leads:
            print(f"{self.trainer.label}: continuing at step {self.trainer.step} of {self.trainer.total}")

    def save(self) -> None:
        """Write a checkpoint, in the first process, of all of them; return in each when it is written."""
        state = {
            "trainer": self.trainer.state_dict(),
            "resumes": self.resumes,
            "started": self.started,
            "used": dict(self.used),
            "seconds": self.seconds,
        }
        if self.world.leads:
            checkpoint.save(self.paths.checkpoint, state)
        self.world.wait()
        self._saved = time.monotonic()

    def after_step(self, stop: Stop, watch: Watch | None) -> bool:
        """Report, save when it is time, and say whether to go on.

        Several processes agree on both in one small message a step, on the host: a signal may reach only
        one of them, and their clocks differ.
        """
        if watch:
            watch.update()
        trainer = self.trainer
        if self._board and trainer.history and trainer.history[-1]["step"] == trainer.step:
            _to_board(self._board, trainer.history[-1])
        due = time.monotonic() - self._saved >= self.options.checkpoint_seconds
        number, save = self.world.agree(stop.signal or 0, due)
        if number:
            self.stopped_by = signal.Signals(number)
            return False
        if save and trainer.step < trainer.total:
            self.save()
        return True


def _write_products(
    spec: RunSpec, paths: RunPaths, dataset: Dataset, session: _Session, device: torch.device
) -> Record:
    """Write weights, history and, last, the record; then drop the resume state."""
    trainer, labels = session.trainer, load_labels(spec, dataset)
    weights = {name: value.contiguous() for name, value in trainer.evaluated_state().items()}
    blob = safetensors.torch.save(weights)
    recipe = spec.settings["recipe"]
    columns = dict.fromkeys(key for row in trainer.history for key in row if key.startswith("top1_"))
    found = {
        column.removeprefix("top1_"): scores(
            [row[column] for row in trainer.history if column in row], recipe
        )
        for column in columns
    }
    primary = next(iter(found))
    seconds = session.seconds
    images = trainer.total * trainer.loader.images_per_step
    commit, dirty = facts.git_state()
    record = Record(
        name=spec.name,
        spec_digest=spec.digest(),
        code_digest=code_digest(spec),
        code_modules=code_modules(spec),
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
        gpu_hours=round(session.world.size * seconds / 3600, 5) if device.type == "cuda" else 0.0,
        images_per_second=round(images / seconds, 1),
        resumes=session.resumes,
        parameters=sum(p.numel() for p in trainer.task.parameters()),
        evaluations=trainer.course.readings,
        scores=found,
        primary=primary,
        score=getattr(found[primary], recipe["score"]),
        weights_sha256=hashlib.sha256(blob).hexdigest(),
        labels=_labels(labels),
        relation_sha256=session.used.get("relation"),
        init_sha256=session.used.get("weights"),
    )
    if labels is not None:
        write_text(paths.labelled, "".join(f"{name}\n" for name in labels.names))
    history = _history_csv(trainer.history)
    with atomic_write(paths.weights) as stream:
        stream.write(blob)
    kept = paths.work / "finished"
    write_text(kept / "history.csv", history)
    record.write(kept / "record.json")
    write_text(paths.history, history)
    record.write(paths.record)
    paths.checkpoint.unlink(missing_ok=True)
    return record


def _labels(split: LabelSplit | None) -> Labels | None:
    if split is None:
        return None
    return Labels(labelled=len(split.labelled), unlabelled=len(split.unlabelled), sha256=split.digest)


def _history_csv(history: list[Row]) -> str:
    text = io.StringIO()
    names = dict.fromkeys(name for row in history for name in row)
    writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def _open_board(folder: Path | None, label: str) -> Any:
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DmixError(
            "--tensorboard needs the tensorboard package", "run: pip install 'dmix[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder / label))


def _to_board(board: Any, row: Mapping[str, float | int]) -> None:
    for name, value in row.items():
        if name not in ("epoch", "step"):
            board.add_scalar(name, value, row["step"])
