"""Writes records: JSON files that hold the SHA-256 of their own fields, so that an edit of them shows."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from dmix.files import write_text
from dmix.reading import SEAL, seal


class Frozen(BaseModel):
    """A record, or an object in one: no field is unknown, not a number or infinite, and none can be set."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def write_sealed(record: BaseModel, path: Path) -> None:
    """Write a record with a field `SEAL` as JSON to `path`, with its SHA-256 in it, whole or not at all."""
    values = record.model_dump(mode="json")
    values[SEAL] = seal(values)
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
