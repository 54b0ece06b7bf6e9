"""The record: the result of one run, written by training and read by reporting.

It is written last, whole or not at all, and is never edited afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError

from dmix.errors import DmixError
from dmix.reading import as_model, first_problem, read_json, seal
from dmix.sealed import Frozen, write_sealed


class Scores(Frozen):
    """Top-1 accuracy in percent on the test split: ways to make one score of all evaluations."""

    median_last10: float = Field(ge=0, le=100, description="median over the last 10 epochs, or evaluations")
    median_last20: float | None = Field(None, ge=0, le=100, description="of recipes that count steps")
    best: float = Field(ge=0, le=100)
    last: float = Field(ge=0, le=100)
    last10: tuple[float, ...] = Field(min_length=1, max_length=10)


class Hardware(Frozen):
    """Where the run was trained."""

    device: str
    threads: int
    processes: int = Field(
        1, ge=1, description="how many shared the run in its last session, each with its own device"
    )
    host_cpu: str
    peak_memory_mb: float


class Labels(Frozen):
    """Which training images had labels; labelled.txt beside the record lists them."""

    labelled: int = Field(ge=1)
    unlabelled: int = Field(ge=0)
    sha256: str = Field(description="sha256 of the sorted list, one a line")


class Record(Frozen):
    """Everything needed to trust, rebuild or refuse one number."""

    schema_version: Literal[1, 2] = 2  # 1: without history_sha256 and record_sha256
    name: str
    spec_digest: str
    code_digest: str
    code_modules: Mapping[str, str] = Field(description="digest of each module the run depends on")
    code_parts: Mapping[str, str] = Field({}, description="digest of the engine and of each part, as run")
    accepted: tuple[str, ...] = Field((), description="why this code counts as that of `code_digest`")
    spec: Mapping[str, Any]
    seed: int
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    git_commit: str | None
    git_dirty: bool | None
    versions: Mapping[str, str]
    hardware: Hardware
    precision: str
    started: str
    finished: str
    seconds: float = Field(ge=0, description="training time over all sessions of the run")
    gpu_hours: float = Field(ge=0, description="of all devices, over all sessions")
    images_per_second: float = Field(ge=0)
    resumes: int = Field(ge=0)
    parameters: int
    evaluations: tuple[int, ...] = Field(
        # The second is the name in records that were written before it was changed.
        validation_alias=AliasChoices("evaluations", "readings"),
        description="epochs, or steps of recipes that count steps, after which the test split was evaluated",
    )
    scores: Mapping[str, Scores] = Field(description="by predictor; the first one named is `primary`")
    primary: str
    score: float = Field(ge=0, le=100, description="the number a table shows: the recipe's score")
    weights_sha256: str
    history_sha256: str = Field("", description="of history.csv")
    labels: Labels | None = Field(None, description="which training images had labels; None: all")
    relation_sha256: str | None = Field(None, description="of the class relation that the run was taught")
    init_sha256: str | None = Field(
        None, description="of the weights the run started from; None: random ones"
    )
    record_sha256: str = ""  # of all other fields, as JSON with sorted keys; `write` fills it in

    def write(self, path: Path) -> None:
        """Write the record as JSON to `path`, with its own SHA-256, whole or not at all."""
        write_sealed(self, path)


WAY_OUT = "get this file again, or delete it: the next run trains it again"


def read_record(path: Path) -> Record:
    """Read and validate the record at `path`.

    Raises
    ------
    DmixError: the file is missing, no JSON, or edited since it was written, or does not follow the schema.
    """
    try:
        values = read_json(path)
        record = as_model(Record, values)
    except DmixError as error:
        raise DmixError(f"the record {path} is not valid: {error.message}", WAY_OUT, exit_code=1) from error
    except ValidationError as error:
        raise DmixError(f"the record {path} is not valid: {first_problem(error)}", WAY_OUT) from error
    sealed = record.schema_version > 1 or record.record_sha256
    if sealed and record.record_sha256 != seal(values):
        raise DmixError(f"the record {path} is not valid: it was edited after it was written", WAY_OUT)
    return record
