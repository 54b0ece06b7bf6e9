"""The record of a learned class relation, written beside its matrix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from dmix.errors import DmixError
from dmix.reading import as_model, read_json, seal
from dmix.record import Hardware
from dmix.sealed import Frozen, write_sealed


class Relation(Frozen):
    """Everything needed to trust, rebuild or refuse one class relation. Written last, never edited."""

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
    record_sha256: str | None = Field(
        default=None, description="of the fields above; older records have none"
    )

    def write(self, path: Path) -> None:
        """Write the record as JSON to `path`, atomically."""
        write_sealed(self, path)


def read_relation(path: Path) -> Relation | None:
    """Return the record at `path`, or None if it is missing, edited or does not follow the schema.

    Neither is an error: the class relation is then learned again, in minutes.
    """
    try:
        values = read_json(path)
        found = as_model(Relation, values)
    except (DmixError, ValidationError):
        return None
    return found if found.record_sha256 in (None, seal(values)) else None
