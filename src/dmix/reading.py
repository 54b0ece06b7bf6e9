"""Reads small files that people edit or that may be damaged: text, JSON and CSV, one function for each.

YAML has its own door, `dmix.grid.yaml_lines`, because its messages name the line of every key.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from dmix.errors import DmixError

if TYPE_CHECKING:  # it takes as long to import as a client of the preloaded helper takes for all else
    from pydantic import BaseModel, ValidationError

MOST_BYTES = 16 * 2**20
"""Largest file that is read. The largest that dmix writes, a list of labels, has about 10 MiB."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")

SEAL = "record_sha256"

Model = TypeVar("Model", bound="BaseModel")


def read_text(path: Path, way_out: str = "", most: int = MOST_BYTES) -> str:
    """Return the text of a UTF-8 file, without the byte order mark that some editors put first.

    Parameters
    ----------
    way_out: how to get a good file. most: largest size in bytes.

    Raises
    ------
    DmixError: the file cannot be read, is larger than `most`, is not UTF-8, or has control characters.
    """
    try:
        with open(path, "rb") as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise DmixError(f"cannot read {path}: {error.strerror or error}", way_out) from error
    except ValueError as error:  # a NUL in the path
        raise DmixError(f"cannot read {str(path)!r}: {error}", way_out) from error
    if len(content) > most:
        raise DmixError(f"cannot read {path}: it has more than {most} bytes", way_out)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DmixError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8",
            way_out or "save the file as UTF-8 text",
        ) from error
    if found := CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise DmixError(
            f"{path}:{line}: the control character U+{ord(found[0]):04X}", way_out or "remove the character"
        )
    return text


def parse_json(text: str | bytes, name: str, way_out: str = "") -> dict[str, Any]:
    """Return the JSON object in `text`.

    Raises
    ------
    DmixError: it is not JSON or no object, or it has a key twice, NaN, an infinity, a number of more than
        4,300 digits, half a surrogate pair, or too many levels. The message begins with `name`.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair cannot be written or shown
    except RecursionError as error:
        raise DmixError(f"{name} is not valid JSON: too many levels", way_out) from error
    except ValueError as error:
        raise DmixError(f"{name} is not valid JSON: {error}", way_out) from error
    if not isinstance(found, dict):
        raise DmixError(f"{name} is not valid: it is no JSON object", way_out)
    return found


def read_json(path: Path, way_out: str = "") -> dict[str, Any]:
    """Return the JSON object in a file; see `read_text` and `parse_json` for the errors."""
    return parse_json(read_text(path, way_out), str(path), way_out)


def as_model(kind: type[Model], values: Any) -> Model:
    """Check plain values against a pydantic model, strictly: neither true nor "1" is a number.

    Raises
    ------
    ValidationError: a value is missing, unknown, of the wrong type or out of range.
    """
    # As JSON, in which a list may become a tuple although the check is strict.
    return kind.model_validate_json(json.dumps(values), strict=True)


def seal(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 (64 hex digits) of a record's fields, but for `SEAL`, the field that holds it."""
    kept = {key: value for key, value in values.items() if key != SEAL}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def first_problem(error: ValidationError) -> str:
    """Return "key.key: what is wrong" of the first error."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']}"


def read_csv(path: Path, header: Sequence[str], way_out: str = "") -> list[tuple[str, dict[str, str]]]:
    """Return "file:line" and the fields of each row below the header line.

    Parameters
    ----------
    header: the required names of the columns.

    Raises
    ------
    DmixError: see `read_text`; or another header, a row with another number of fields or broken quotes, or
        the same row twice.
    """
    rows = csv.reader(io.StringIO(read_text(path, way_out), newline=""), strict=True)
    found: list[tuple[str, dict[str, str]]] = []
    first: dict[tuple[str, ...], str] = {}
    try:
        if tuple(next(rows, ())) != tuple(header):
            raise DmixError(f"{path}: the first line must be {','.join(header)}", way_out)
        for row in rows:
            where = f"{path}:{rows.line_num}"
            if len(row) != len(header):
                raise DmixError(f"{where}: {len(row)} fields, expected {len(header)}", way_out)
            if (other := first.setdefault(tuple(row), where)) != where:
                raise DmixError(f"{where}: the same row as {other}", way_out or "delete one of them")
            found.append((where, dict(zip(header, row, strict=True))))
    except csv.Error as error:
        raise DmixError(f"{path}:{rows.line_num}: not valid CSV: {error}", way_out) from error
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{digits} is too large")
    return value
