"""The record of a learned class relation, written beside its matrix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dmix.errors import DmixError
from dmix.files import write_text
from dmix.reading import as_model, read_json
from dmix.record import Hardware


class Relation(BaseModel):
    """Everything needed to trust, rebuild or refuse one class relation. Written last, never edited."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    name: str
    spec_digest: str
    code_digest: str
    spec: Mapping[str, Any]
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    labelled: int = Field(ge=1, description="number of labelled training images used")
    labelled_sha256: str | None = Field(description="of their sorted list, one a line; none: all images")
    estimator: Literal["direct", "reverse"]
    fallback: str = Field("", description="why the requested estimator was replaced, or empty")
    strength: float | None = Field(None, gt=0, description="weight of the data in the regression (reverse)")
    scale: float | None = Field(None, description="calibration factor of the regression's logits (reverse)")
    accuracy: float | None = Field(None, ge=0, le=1, description="of the regression on held-out images")
    seconds: float = Field(ge=0)
    versions: Mapping[str, str]
    hardware: Hardware
    matrix_sha256: str = Field(description="of the matrix file")
    init_sha256: str = Field(description="of the pre-trained weights file")

    def write(self, path: Path) -> None:
        """Write the record as JSON to `path`, atomically."""
        write_text(path, self.model_dump_json(indent=1) + "\n")


def read_relation(path: Path) -> Relation | None:
    """Return the record at `path`, or None if it is missing or does not follow the schema.

    Neither is an error: the class relation is then learned again, in minutes.
    """
    try:
        return as_model(Relation, read_json(path))
    except (DmixError, ValidationError):
        return None
