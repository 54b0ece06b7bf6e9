"""What is known of a learned relationship of classes: its declared product, beside the matrix itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dmix.files import write_text
from dmix.record import Hardware


class Relation(BaseModel):
    """Everything needed to trust, rebuild or refuse one relationship. Written last, and never edited."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    name: str
    spec_digest: str
    code_digest: str
    spec: Mapping[str, Any]
    data_edition: Literal["real", "embedded"]
    data_fingerprint: str
    labelled: int = Field(ge=1, description="training images that it was learned from")
    labelled_sha256: str | None = Field(description="over their sorted list, one a line; none: all images")
    estimator: Literal["direct", "reverse"]
    fallback: str = Field("", description="why the estimator is not the one that was asked for")
    strength: float | None = Field(None, gt=0, description="of the regression; the direct estimator has none")
    scale: float | None = Field(None, description="that calibrates it")
    accuracy: float | None = Field(None, ge=0, le=1, description="of it on images that were held out")
    seconds: float = Field(ge=0)
    versions: Mapping[str, str]
    hardware: Hardware
    matrix_sha256: str = Field(description="of the whole file")
    init_sha256: str = Field(description="of the file of weights")

    def write(self, path: Path) -> None:
        """Write the record as JSON to `path`, whole or not at all."""
        write_text(path, self.model_dump_json(indent=1) + "\n")


def read_relation(path: Path) -> Relation | None:
    """Return the record at `path`, or None where there is none that follows the schema.

    That is no error: what it speaks of is made anew in minutes.
    """
    try:
        return Relation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
