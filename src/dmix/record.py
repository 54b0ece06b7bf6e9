"""The record: the result of one run, written by training and read by reporting.

It is written last, whole or not at all, and is never edited afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from dmix.errors import DmixError
from dmix.files import write_text


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Scores(_Frozen):
    """Top-1 accuracy in percent on the test split: ways to make one score of all evaluations."""

    median_last10: float = Field(ge=0, le=100, description="median over the last 10 epochs, or evaluations")
    median_last20: float | None = Field(None, ge=0, le=100, description="of recipes that count steps")
    best: float = Field(ge=0, le=100)
    last: float = Field(ge=0, le=100)
    last10: tuple[float, ...] = Field(min_length=1, max_length=10)


class Hardware(_Frozen):
    """Where the run was trained."""

    device: str
    threads: int
    processes: int = Field(1, ge=1, description="how many shared the run, each with its own device")
    host_cpu: str
    peak_memory_mb: float


class Labels(_Frozen):
    """Which training images had labels; labelled.txt beside the record lists them."""

    labelled: int = Field(ge=1)
    unlabelled: int = Field(ge=0)
    sha256: str = Field(description="sha256 of the sorted list, one a line")


class Record(_Frozen):
    """Everything needed to trust, rebuild or refuse one number."""

    schema_version: Literal[1] = 1
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
    gpu_hours: float = Field(ge=0)
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
    labels: Labels | None = Field(None, description="which training images had labels; None: all")
    relation_sha256: str | None = Field(None, description="of the class relation that the run was taught")
    init_sha256: str | None = Field(
        None, description="of the weights the run started from; None: random ones"
    )

    def write(self, path: Path) -> None:
        """Write the record as JSON to `path`, whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read and validate the record at `path`.

    Raises
    ------
    DmixError: the file is missing, is not JSON, or does not follow the schema.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DmixError(f"cannot read the record {path}: {error.strerror}", exit_code=1) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DmixError(
            f"the record {path} is not valid: {where}: {first['msg']}",
            "delete this file; the next run trains it again",
        ) from error
