"""Finds and reads the files of a finished run, in this project or wherever they were copied to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.damage import absent, way_out, way_to_weights
from dmix.grid.paths import HISTORY, RECORD, WEIGHTS, RunPaths, records_folder, weights_folder
from dmix.record import Record, read_record

ENDINGS = (".json", ".safetensors")
RECORDS_OF_TIER, WEIGHTS_OF_TIER = records_folder("").name, weights_folder("").name


@dataclass(frozen=True)
class RunFiles:
    """Where the files of one finished run are.

    `way_out` is how to get one that is damaged, `way_to_weights` how to get weights that are absent.
    """

    record: Path
    history: Path
    weights: Path
    way_out: str
    way_to_weights: str


def files_of(paths: RunPaths, name: str) -> RunFiles:
    """Return the files of a run of this project."""
    return RunFiles(paths.record, paths.history, paths.weights, way_out(paths, name), way_to_weights(paths))


def is_place(given: str) -> bool:
    """Return whether an argument means a file or folder, not the name of a run."""
    return given.startswith((".", "/", "~")) or given.endswith(ENDINGS) or Path(given).exists()


def files_at(given: str) -> RunFiles:
    """Return the files of the run that a person points to: its weights, its record, or the folder of either.

    Record and weights lie in one folder, or below folders named as those of a tier's results.

    Raises
    ------
    DmixError: there is no such file or folder, or no record there.
    """
    place = Path(given).expanduser()
    expected = "give weights.safetensors or record.json of a run, or the folder of either"
    if not place.exists():
        raise DmixError(f"there is no file or folder {place}", expected)
    folder = place if place.is_dir() else place.parent
    # The file itself may have another name.
    record = place if place.suffix == ".json" else _found(folder, RECORD, WEIGHTS_OF_TIER, RECORDS_OF_TIER)
    own = place.suffix == ".safetensors"
    weights = place if own else _found(folder, WEIGHTS, RECORDS_OF_TIER, WEIGHTS_OF_TIER)
    if not record.is_file():
        raise DmixError(f"there is no record {record}, which says what network the weights are of", expected)
    again = "get the run's files again from where they are whole"
    return RunFiles(record, record.parent / HISTORY, weights, again, again)


def _found(folder: Path, file: str, below: str, beside: str) -> Path:
    """Return the file in `folder` or, below a folder named `below`, in its twin below `beside`."""
    parts = folder.absolute().parts
    if (folder / file).exists() or below not in parts:
        return folder / file
    place = len(parts) - 1 - parts[::-1].index(below)
    return Path(*parts[:place], beside, *parts[place + 1 :]) / file


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
    if absent(files.weights):
        raise DmixError(
            f"the weights of {record.name} are not here: {files.weights}", files.way_to_weights, exit_code=1
        )
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
