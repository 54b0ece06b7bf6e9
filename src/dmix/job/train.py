"""Trains one run from its name to its record, across kills and restarts."""

from __future__ import annotations

import json
from contextlib import ExitStack, nullcontext

from dmix.engine.assemble import Given, assemble
from dmix.engine.device import choose_device
from dmix.engine.distributed import World, joined, local_rank
from dmix.engine.parts import load_dataset
from dmix.errors import DmixError
from dmix.files import sha256, sweep, write_text
from dmix.grid.expand import Grid
from dmix.grid.paths import DATA, RunPaths
from dmix.grid.promise import refuse_edited_code
from dmix.grid.spec import RunSpec
from dmix.job import facts
from dmix.job.given import check_relation, relation_of, weights_of
from dmix.job.options import Options, read_options
from dmix.job.products import write_products
from dmix.job.session import Session
from dmix.job.signals import AGAIN, watched
from dmix.job.watch import Watch
from dmix.lock import held as locked
from dmix.record import read_record


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
    """Make the run's folders, take its lock (`held` releases it), and return whether to train."""
    try:
        paths.work.mkdir(parents=True, exist_ok=True)
        paths.results.mkdir(parents=True, exist_ok=True)
        # For people who look up a folder by its digests; also shows early that the folder can be written.
        write_text(paths.work / "spec.json", json.dumps(spec.identity(), indent=1) + "\n")
    except OSError as error:
        raise DmixError(
            f"cannot write to {error.filename}: {error.strerror}",
            "make results/ and work/ writable folders, then run the same command again",
            exit_code=1,
        ) from error
    held.enter_context(
        locked(
            paths.lock,
            lambda holder: print(f"waiting: {holder} is training this run ({paths.lock})", flush=True),
        )
    )
    for folder in (paths.work, paths.work / "finished", paths.results):
        sweep(folder)
    if _finished(paths):
        return False
    paths.failure.unlink(missing_ok=True)
    return True


def _finished(paths: RunPaths) -> bool:
    """Return whether the run has its record; restore one that Snakemake removed, from the work folder."""
    kept = paths.work / "finished"
    if not paths.record.exists() and (kept / "record.json").exists() and paths.weights.exists():
        write_text(paths.history, (kept / "history.csv").read_text(encoding="utf-8"))
        write_text(paths.record, (kept / "record.json").read_text(encoding="utf-8"))
    if not paths.record.exists():
        return False
    # A record with other digests than its path, put there by hand, does not count.
    record = read_record(paths.record)
    return f"{record.name}-{record.spec_digest}-{record.code_digest}" == paths.folder


def _train_claimed(spec: RunSpec, given: Given, paths: RunPaths, options: Options, world: World) -> int:
    device = choose_device(options.device, local_rank())
    dataset = load_dataset(spec, DATA)
    trainer = assemble(spec, dataset, device, read_options(options, device), given)
    refuse_edited_code(spec)  # after all modules of the run are imported
    used = {name: sha256(path) for name, path in vars(given).items() if path is not None}
    if given.relation is not None:
        check_relation(spec, dataset, given.relation, used)
    session = Session(trainer, paths, options, world, used)
    session.restore()
    # Covers the save too: a scheduler may send a second signal during it.
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
        refuse_edited_code(spec)
        if world.leads:
            record = write_products(spec, paths, dataset, session, device)
            print(f"{spec.name}: top-1 {record.score:.2f} % ({record.seconds:.1f} s)")
        # torchrun may take a process that exits early for a dead one, and kill the others.
        world.wait()
    return 0
