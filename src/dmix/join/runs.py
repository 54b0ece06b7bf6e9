"""Takes a finished run of a source: its weights first, its record last, each file checked on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import sha256, write_text
from dmix.grid.damage import absent, damage
from dmix.grid.expand import Grid
from dmix.grid.paths import HISTORY, LABELLED, RECORD, RunPaths
from dmix.holder import holder_of
from dmix.join.copied import copy
from dmix.join.difference import refuse_other
from dmix.join.outcome import TAKEN, THERE, WEIGHTS, Options, Outcome
from dmix.join.source import Source
from dmix.lock import attempt
from dmix.record import Record
from dmix.report.valid import read_valid


def take_run(grid: Grid, source: Source, name: str, options: Options) -> Outcome:
    """Take the run `name`, or its weights alone if its record is here; nothing here is overwritten.

    Raises
    ------
    DmixError: a file of the source is not the one that its record names, the record is not that of the run,
        or the run is being trained here.
    Differs: it is here with another outcome.
    """
    ours, theirs = RunPaths(grid.tier, grid.places[name]), source.records / grid.places[name]
    record, problem = read_valid(theirs / RECORD, grid.runs[name])
    # Weights are looked at where they are copied: this path has no folder, which is no damage.
    problem = problem or damage(theirs, theirs / "absent" / "weights")
    if record is None or problem:
        raise DmixError(problem)
    if ours.record.exists():
        return _compared(grid, source, name, record, options)
    with _weights(source, ours, options) as large, _locked(ours, options):
        if not options.dry_run:
            _take_weights(large, ours, record)
            for file in (LABELLED, HISTORY, RECORD):
                if (theirs / file).exists():
                    write_text(ours.results / file, (theirs / file).read_bytes().decode())
        elif large is not None and sha256(large) != record.weights_sha256:
            raise DmixError(f"{large.name} was cut or edited: its sha256 is not the one in {RECORD}")
    return TAKEN


def _compared(grid: Grid, source: Source, name: str, theirs: Record, options: Options) -> Outcome:
    """Compare a run that is here too, and take its weights if they alone are absent."""
    ours = RunPaths(grid.tier, grid.places[name])
    record, problem = read_valid(ours.record, grid.runs[name])
    problem = problem or damage(ours.results, ours.weights)
    if record is None or problem:
        raise DmixError(f"it is damaged here: {problem}")
    refuse_other(record, theirs)
    if not absent(ours.weights):
        return THERE
    with _weights(source, ours, options) as large, _locked(ours, options):
        if large is None:
            return THERE
        if not options.dry_run:
            _take_weights(large, ours, record)
    return WEIGHTS


def _weights(source: Source, ours: RunPaths, options: Options) -> AbstractContextManager[Path | None]:
    return source.weights(ours.folder) if options.weights else nullcontext(None)


def _take_weights(large: Path | None, ours: RunPaths, record: Record) -> None:
    if large is not None:
        copy(large, ours.weights, record.weights_sha256)


@contextmanager
def _locked(ours: RunPaths, options: Options) -> Iterator[None]:
    """Keep the run from being trained here meanwhile."""
    if options.dry_run:
        yield
        return
    with attempt(ours.lock) as free:
        if not free:
            raise DmixError(f"{holder_of(ours.lock)} is training it here")
        yield
