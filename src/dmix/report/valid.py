"""Accepts a record as the result of a run if it is valid and equals what the grid asks for today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from dmix.errors import DmixError
from dmix.grid.code import code_digest
from dmix.grid.paths import RECORD
from dmix.grid.spec import RunSpec, canonical_json
from dmix.record import Record, read_record


def read_valid(path: Path, spec: RunSpec) -> tuple[Record | None, str]:
    """Return the record at `path` and "", or None and why it may not be used for `spec`.

    The reason names the file without its folder, so that it is equal on every machine.
    """
    try:
        record = read_record(path)
    except DmixError as error:
        return None, error.message.replace(str(path), RECORD)
    problem = next(problems(record, spec), "")
    return (None, problem) if problem else (record, "")


def problems(record: Record, spec: RunSpec) -> Iterator[str]:
    """Yield every reason why `record` is not the result of `spec` with today's code."""
    wanted = {
        "name": spec.name,
        "spec_digest": spec.digest(),
        "code_digest": code_digest(spec),
        "seed": spec.seed,
    }
    for field, value in wanted.items():
        if getattr(record, field) != value:
            yield f"{field} is {getattr(record, field)}, the grid's is {value}"
    # Through JSON, because the record's lists may be tuples in the grid.
    identity = json.loads(canonical_json(spec.identity()))
    for section in sorted(identity.keys() | record.spec.keys()):
        if record.spec.get(section) != identity.get(section):
            yield f"spec.{section} differs from the grid's"
    edition = spec.settings.get("dataset", {}).get("edition", record.data_edition)
    if record.data_edition != edition:
        yield f"trained on {record.data_edition} data, the grid asks for {edition} data"
    if record.primary not in record.scores:
        yield f"there are no scores of the primary predictor {record.primary}"
    else:
        yield from _wrong_score(record, spec)


def _wrong_score(record: Record, spec: RunSpec) -> Iterator[str]:
    which = spec.settings.get("recipe", {}).get("score")
    if which is not None:
        value = getattr(record.scores[record.primary], which)
        if record.score != value:
            yield f"score is {record.score}, {which} of {record.primary} is {value}"
