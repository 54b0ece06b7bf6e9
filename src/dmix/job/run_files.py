"""Finds and reads the files of a finished run, in this project or wherever they were copied to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.paths import HISTORY, RECORD, WEIGHTS, RunPaths
from dmix.record import Record, read_record

ENDINGS = (".json", ".safetensors")


@dataclass(frozen=True)
class RunFiles:
    """Where the files of one finished run are; `way_out` is how to get one that is missing or damaged."""

    record: Path
    history: Path
    weights: Path
    way_out: str


def files_of(paths: RunPaths, way_out: str) -> RunFiles:
    """Return the files of a run of this project."""
    return RunFiles(paths.record, paths.history, paths.weights, way_out)


def is_place(given: str) -> bool:
    """Return whether an argument means a file or folder, not the name of a run."""
    return given.startswith((".", "/", "~")) or given.endswith(ENDINGS) or Path(given).exists()


def files_at(given: str) -> RunFiles:
    """Return the files of the run that a person points to: its weights, its record, or the folder of both.

    Raises
    ------
    DmixError: there is no such file or folder, or no record there.
    """
    place = Path(given).expanduser()
    way_out = "give weights.safetensors or record.json of a run, or the folder that has both"
    if not place.exists():
        raise DmixError(f"there is no file or folder {place}", way_out)
    folder = place if place.is_dir() else place.parent
    # The file itself may have another name.
    record = place if place.suffix == ".json" else folder / RECORD
    weights = place if place.suffix == ".safetensors" else folder / WEIGHTS
    if not record.is_file():
        raise DmixError(f"there is no record {record}, which says what network the weights are of", way_out)
    return RunFiles(record, folder / HISTORY, weights, "get the run's folder again from where it is whole")


def record_of(files: RunFiles) -> Record:
    """Return the record of a run.

    Raises
    ------
    DmixError: it is missing, damaged or edited.
    """
    try:
        return read_record(files.record)
    except DmixError as error:
        raise DmixError(error.message, files.way_out, exit_code=1) from error


def weights_of(files: RunFiles, record: Record) -> bytes:
    """Return the content of a run's file of weights.

    Raises
    ------
    DmixError: it cannot be read, or its SHA-256 is not the one in the record.
    """
    content = _read(files.weights, files)
    if hashlib.sha256(content).hexdigest() != record.weights_sha256:
        raise _changed(files.weights, files)
    return content


def history_of(files: RunFiles, record: Record) -> bool:
    """Return whether there is a history, after comparing its SHA-256 with the one in the record.

    Raises
    ------
    DmixError: it cannot be read, or is another.
    """
    if not files.history.exists():
        return False
    content = _read(files.history, files)
    # Records of the first version do not state it.
    if record.history_sha256 and hashlib.sha256(content).hexdigest() != record.history_sha256:
        raise _changed(files.history, files)
    return True


def _read(path: Path, files: RunFiles) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror}", files.way_out, exit_code=1) from error


def _changed(path: Path, files: RunFiles) -> DmixError:
    return DmixError(
        f"{path} was cut or edited: its sha256 is not the one in {files.record.name}",
        files.way_out,
        exit_code=1,
    )
