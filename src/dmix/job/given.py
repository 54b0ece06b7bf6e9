"""Finds and checks the inputs of a run besides its data: initial weights and class relation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dmix.class_relation_record import read_relation
from dmix.data.sets.dataset import Dataset
from dmix.engine.parts import load_labels
from dmix.errors import DmixError
from dmix.files import sha256
from dmix.grid.damage import absent, damage, way_out, way_to_weights
from dmix.grid.expand import Grid, folder
from dmix.grid.paths import DATA, ClassRelationPaths, RunPaths
from dmix.grid.spec import RunSpec


def weights_of(grid: Grid, spec: RunSpec) -> Path | None:
    """Return the file of the initial weights of a run or class relation; None for a random start.

    The weights of a finished run are compared with its record. Published ones are checked where they are read
    (`dmix.backbones.pretrained`).

    Raises
    ------
    DmixError: the run that it starts from is not finished, its files are not those of its record, or its
        weights are absent.
    """
    if spec.source is not None:
        paths, source = RunPaths(grid.tier, grid.folders[spec.source.name]), spec.source.name
        if not paths.record.exists():
            raise DmixError(
                f"{spec.name} starts from the weights of {source}, which has no record: {paths.record}",
                f"run: dmix train {source} --tier {grid.tier}",
                exit_code=1,
            )
        if problem := damage(paths.results, paths.weights):
            raise DmixError(
                f"{spec.name} starts from the weights of {source}, which is damaged: {problem}",
                way_out(paths, source),
                exit_code=1,
            )
        if absent(paths.weights):
            raise DmixError(
                f"{spec.name} starts from the weights of {source}, which are not here: {paths.weights}",
                way_to_weights(paths),
                exit_code=1,
            )
        return paths.weights
    init = spec.settings["recipe"]["init"]
    return None if init == "random" else DATA / "real" / init


def relation_of(grid: Grid, spec: RunSpec) -> Path | None:
    """Return the file of a run's class relation, or None if its method has none.

    Raises
    ------
    DmixError: it is not learned yet, or its matrix is not the one of its record.
    """
    if spec.relation is None:
        return None
    paths = ClassRelationPaths(grid.tier, folder(spec.relation))
    if not (paths.record.exists() and paths.matrix.exists()):
        raise DmixError(
            f"{spec.name} needs a class relation that was not learned yet: {paths.record}",
            f"run: dmix relate {spec.relation.name} --tier {grid.tier}",
        )
    record = read_relation(paths.record)
    if record is None or sha256(paths.matrix) != record.matrix_sha256:
        broken = paths.record if record is None else paths.matrix
        raise DmixError(
            f"{spec.name}: the class relation is damaged: {broken} was cut or edited",
            f"delete {paths.results}, then run: dmix relate {spec.relation.name} --tier {grid.tier}",
            exit_code=1,
        )
    return paths.matrix


def check_relation(spec: RunSpec, dataset: Dataset, matrix: Path, used: Mapping[str, str]) -> None:
    """Compare labels, weights and data that a class relation was learned from with those of its run.

    Parameters
    ----------
    matrix: file of the class relation, beside its record.
    used: sha256 of the run's input files, by their names in `Given`.

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
            f"{spec.name}: the class relation {matrix} has other {' and '.join(wrong)} than this run",
            f"delete {matrix.parent}; the workflow, or dmix relate, learns it again",
        )
