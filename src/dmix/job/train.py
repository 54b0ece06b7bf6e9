"""Trains one run from its name to its record, across kills and restarts."""

from __future__ import annotations

import json
from contextlib import ExitStack, nullcontext

from dmix.engine.assemble import Given, assemble
from dmix.engine.device import choose_device
from dmix.engine.distributed import World, joined, launched, local_rank
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.files import sha256, sweep, write_text
from dmix.grid.damage import absent, damage, way_out
from dmix.grid.expand import Grid
from dmix.grid.paths import HISTORY, RECORD, RunPaths, weights_folder
from dmix.grid.promise import refuse_edited_code
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.given import check_relation, relation_of, weights_of
from dmix.job.options import Options, read_options
from dmix.job.patience import patiently
from dmix.job.placed import placed
from dmix.job.products import write_products
from dmix.job.recorded import forget
from dmix.job.say import say
from dmix.job.session import Session
from dmix.job.signals import AGAIN, LeaveNow, Stop, watched
from dmix.job.staged import staged
from dmix.job.watch import Watch
from dmix.lock import held as locked
from dmix.record import read_record

SAVE_SECONDS = 10.0
"""How long a stopped run tries to save, within the 30 s that SLURM gives it."""
PRODUCTS_SECONDS = 120.0
"""How long a finished run tries to write its results."""


def train(grid: Grid, name: str, options: Options) -> int:
    """Train the run `name` of `grid`; return the exit status 0, or 75 if it saved and has to run again.

    A finished run returns at once; a run with resume state continues from it, on a CPU bit-identically.
    Under torchrun all processes call this, and the first one writes.

    Raises
    ------
    DmixError: bad data, a folder that cannot be written, or a loss that is not finite.
    """
    facts.note()
    spec = grid.runs[name]
    paths = RunPaths(grid.tier, grid.folders[name])
    # Processes of torchrun use CUDA when they join. One alone has the run's lock before a device.
    early = placed(options, name) if launched() else nullcontext(options)
    with ExitStack() as held, early as options, joined(options.device) as world:
        if not world.lead(lambda: _claim(spec, paths, held)):
            return 0
        options = held.enter_context(placed(options, name))
        given = Given(weights_of(grid, spec), relation_of(grid, spec))
        return _train_claimed(spec, given, paths, options, world)


def _claim(spec: RunSpec, paths: RunPaths, held: ExitStack) -> bool:
    """Make the run's folders, take its lock (`held` releases it), and return whether to train."""
    try:
        paths.work.mkdir(parents=True, exist_ok=True)
        # Not the run's own folder of weights: an empty one would say that they are lost, not absent.
        for folder in (paths.results, weights_folder(paths.tier)):
            folder.mkdir(parents=True, exist_ok=True)
        # For people who look up a folder by its digests; also shows early that the folder can be written.
        write_text(paths.work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    except OSError as error:
        raise DmixError(
            f"cannot write to {error.filename}: {error.strerror}",
            "make results/ and work/ writable folders, then run the same command again",
            exit_code=1,
        ) from error
    held.enter_context(
        locked(paths.lock, lambda holder: say(f"waiting: {holder} is training this run ({paths.lock})"))
    )
    for folder in (paths.work, paths.work / "finished", paths.results, paths.weights.parent):
        sweep(folder)
    if _finished(spec, paths):
        for left in (paths.failure, *paths.resume_state):  # of a job that was killed between two files
            forget(left)
        return False
    return True


def _finished(spec: RunSpec, paths: RunPaths) -> bool:
    """Return whether the run has its record; restore one that Snakemake removed, from the work folder.

    Raises
    ------
    DmixError: its weights or history are not those of the record, and cannot be restored.
    """
    if not paths.record.exists() and not _restored(paths):
        return False
    # A record with other digests than its path, put there by hand, does not count.
    record = read_record(paths.record)
    if f"{record.name}-{record.spec_digest}-{record.code_digest}" != paths.folder:
        return False
    if (problem := damage(paths.results, paths.weights)) and not _restored(paths):
        raise DmixError(
            f"{spec.name} is finished and damaged: {problem}",
            way_out(paths, spec.name),
            exit_code=1,
        )
    return True


def _restored(paths: RunPaths) -> bool:
    """Put back record and history from the work folder if these and the weights are whole; say whether."""
    kept = paths.work / "finished"
    if not (kept / RECORD).exists() or absent(paths.weights):
        return False
    if damage(kept, paths.weights, beside=paths.results):
        return False
    for source, target in ((kept / HISTORY, paths.history), (kept / RECORD, paths.record)):
        write_text(target, source.read_text(encoding="utf-8"))
    return True


def _train_claimed(spec: RunSpec, given: Given, paths: RunPaths, options: Options, world: World) -> int:
    device = choose_device(options.device, local_rank())
    dataset = load_dataset(spec, staged(spec, options.stage))
    trainer = assemble(spec, dataset, device, read_options(options, device), given)
    refuse_edited_code(spec)  # after all modules of the run are imported
    used = {name: sha256(path) for name, path in vars(given).items() if path is not None}
    if given.relation is not None:
        check_relation(spec, dataset, given.relation, used)
    session = Session(trainer, paths, options, world, used)
    session.restore()
    # Covers the save too: a scheduler may send a second signal during it.
    with watched() as stop:
        try:
            with (
                session,
                Watch(spec.name, trainer, paths.progress) if world.leads else nullcontext() as watch,
            ):
                finished = trainer.run(lambda _: session.after_step(stop, watch))
            with stop.saving():
                if not finished:
                    return _stopped(spec, session, stop)
                refuse_edited_code(spec)
                if world.leads:
                    record = patiently(
                        lambda: write_products(spec, paths, dataset, session, device),
                        PRODUCTS_SECONDS,
                        lambda: stop.signal is None,
                    )
                    forget(paths.failure)
                    say(f"{spec.name}: top-1 {record.score:.2f} % ({record.seconds:.1f} s)")
                # torchrun may take a process that exits early for a dead one, and kill the others.
                world.wait()
        except LeaveNow:
            return _left(spec, session, stop)
        except Exception as error:
            error.add_note(f"step {trainer.step} of {trainer.total}")
            raise
    return 0


def _stopped(spec: RunSpec, session: Session, stop: Stop) -> int:
    """Save after the signal on which all processes agreed, and return the exit status."""
    if problem := session.save(SAVE_SECONDS, lambda: not stop.again):
        raise problem
    assert session.stopped_by is not None
    if session.world.leads:
        say(
            f"{spec.name}: {session.stopped_by.name}: stopped at step {session.trainer.step} of "
            f"{session.trainer.total}, saved; the same command continues"
        )
    return AGAIN


def _left(spec: RunSpec, session: Session, stop: Stop) -> int:
    """Say what is lost by leaving in the midst of a step, and return the exit status."""
    assert stop.signal is not None
    why = "a second signal" if stop.again else "the step under way did not end"
    kept = (
        "its last checkpoint" if session.paths.checkpoint.exists() else "the start: it had no checkpoint yet"
    )
    say(
        f"{spec.name}: {stop.signal.name} and {why}: left at step {session.trainer.step} of "
        f"{session.trainer.total} without saving; the same command continues from {kept}"
    )
    return AGAIN
