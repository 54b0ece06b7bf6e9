"""Takes class relations and evaluations of a source; each is sealed by its record."""

from __future__ import annotations

from dmix.class_relation_record import read_relation
from dmix.errors import DmixError
from dmix.evaluation_record import is_of_record
from dmix.files import sha256, write_text
from dmix.grid.evaluation import leaf_of
from dmix.grid.expand import Grid, folder
from dmix.grid.paths import ClassRelationPaths, RunPaths, records_folder
from dmix.grid.spec import RunSpec
from dmix.join.copied import copy
from dmix.join.difference import Differs
from dmix.join.outcome import TAKEN, THERE, Options, Outcome
from dmix.join.source import Source


def take_relation(grid: Grid, source: Source, spec: RunSpec, options: Options) -> Outcome:
    """Take a class relation, its matrix first.

    Raises
    ------
    DmixError: its record is edited or another's, or the matrix is not the one that it names.
    Differs: another matrix is here.
    """
    ours = ClassRelationPaths(grid.tier, folder(spec))
    there = source.records / ours.folder
    record, matrix = read_relation(there / ours.record.name), there / ours.matrix.name
    if record is None or f"{record.name}-{record.spec_digest}-{record.code_digest}" != ours.folder:
        raise DmixError(f"{ours.record.name} is damaged, or that of another class relation")
    if not matrix.exists() or sha256(matrix) != record.matrix_sha256:
        raise DmixError(f"{matrix.name} is missing, or was cut or edited")
    if (known := read_relation(ours.record)) is not None:
        if known.matrix_sha256 != record.matrix_sha256:
            sides = f"{known.matrix_sha256[:12]} here, {record.matrix_sha256[:12]} there"
            raise Differs(f"another matrix: {sides}")
        return THERE
    if not options.dry_run:
        copy(matrix, ours.matrix, record.matrix_sha256)
        write_text(ours.record, (there / ours.record.name).read_bytes().decode())
    return TAKEN


def take_evaluation(grid: Grid, source: Source, kind: str, run: str, options: Options) -> Outcome:
    """Take the evaluation of a kind of the run in folder `run`.

    Raises
    ------
    DmixError: it is damaged, or of other weights than those that the run's record names.
    """
    place = f"{leaf_of(kind, run)}/{kind}.json"
    ours, theirs = records_folder(grid.tier) / place, source.records / place
    mine = RunPaths(grid.tier, run).record
    if not is_of_record(theirs, mine if mine.exists() else source.records / run / mine.name):
        raise DmixError(f"{kind}.json is damaged, or of other weights than those in the run's record")
    if ours.exists():
        return THERE
    if not options.dry_run:
        write_text(ours, theirs.read_bytes().decode())
    return TAKEN
