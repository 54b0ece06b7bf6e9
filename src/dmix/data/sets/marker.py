"""The marker file of an embedded edition, with the checksum of every file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dmix.errors import DmixError
from dmix.files import sha256

NAME = "DMIX_EMBEDDED.json"
WAY_OUT = "run: dmix data embed"


class Marker(BaseModel):
    """The content of `DMIX_EMBEDDED.json`; `files` maps a path inside the edition to its SHA-256 (in hex)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edition: Literal["embedded"] = "embedded"
    source: str
    version: int = Field(ge=1, description="raised when the writer's bytes change")
    files: dict[str, str] = Field(min_length=1)
    train: int = Field(gt=0)
    test: int = Field(gt=0)
    classes: int = Field(gt=1)


def write(folder: Path, source: str, version: int, train: int, test: int, classes: int) -> None:
    """Write the marker of `folder`, which lists every file in it and its subfolders."""
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    marker = Marker(source=source, version=version, files=files, train=train, test=test, classes=classes)
    (folder / NAME).write_text(marker.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> Marker:
    """Read the marker of an embedded edition.

    Raises
    ------
    DmixError: it is missing, or does not follow the schema.
    """
    path = folder / NAME
    try:
        return Marker.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DmixError(f"{path} is missing: {folder} is not an embedded edition", WAY_OUT) from error
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror or error}", WAY_OUT) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise DmixError(f"{path} is damaged: {where}: {first['msg']}", WAY_OUT) from error


def check(folder: Path) -> Marker:
    """Compare the checksums of all files that the marker of `folder` lists, and return it.

    Raises
    ------
    DmixError: a file is missing or differs, or the marker itself is missing or damaged.
    """
    found = read(folder)
    for name, digest in found.files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise DmixError(f"{path} is missing or damaged", WAY_OUT)
    return found
