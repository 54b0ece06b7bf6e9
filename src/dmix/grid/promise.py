"""Checks that a job trains exactly the run that it was submitted for.

The workflow passes each job the identity that its output path stands for. The job resolves the parameter
files again; if they or the code were edited in between, it refuses and names what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dmix.errors import DmixError
from dmix.grid.code import code_digest, code_modules, edited_since
from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec, canonical_json
from dmix.reading import parse_json

WAY_OUT = "start the workflow again: it plans the runs of today's files and keeps what is finished"


def promise(spec: RunSpec) -> str:
    """Return the promise of a job, as canonical JSON: the run's identity and its code digest."""
    return f'{{"code":{canonical_json(code_digest(spec))},"spec":{spec.canonical()}}}'


def check(grid: Grid, name: str, promised: str) -> None:
    """Compare a promise with the current files.

    Raises
    ------
    DmixError: the run is gone from the grid, or its settings or code changed since submission.
    """
    if name not in grid.runs:
        raise DmixError(
            f"{name}: the parameters changed since this job was submitted: the run is gone", WAY_OUT
        )
    before, today = parse_json(promised, "--promise", WAY_OUT), json.loads(promise(grid.runs[name]))
    if not isinstance(before.get("spec"), dict) or not isinstance(before.get("code"), str):
        raise DmixError("--promise is not valid: it has no settings (spec) and code digest (code)", WAY_OUT)
    changes = differences(before["spec"], today["spec"])
    if changes:
        raise DmixError(
            f"{name}: the parameters changed since this job was submitted: {'; '.join(changes)}", WAY_OUT
        )
    if before["code"] != today["code"]:
        raise DmixError(
            f"{name}: the code of this run changed since this job was submitted "
            f"(code digest {before['code']}, now {today['code']})",
            WAY_OUT,
        )


def refuse_edited_code(spec: RunSpec) -> None:
    """Compare the code that this process imported with the code in the run's identity.

    The identity is computed from the files when a job starts; the modules are imported seconds later, or
    hours later if the job waits for a lock.

    Raises
    ------
    DmixError: a module was edited in between.
    """
    if edited := edited_since(code_modules(spec)):
        raise DmixError(
            f"{spec.name}: its code was edited while this job was starting: {', '.join(edited)}",
            WAY_OUT,
            exit_code=1,
        )


def differences(before: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    """Return "key: old -> new" for each setting in which two identities differ."""
    return list(_differences(before, today, ""))


def _differences(before: Any, today: Any, key: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(today, Mapping):
        for name in sorted({*before, *today}):
            dotted = f"{key}.{name}" if key else name
            yield from _differences(before.get(name), today.get(name), dotted)
    elif before != today:
        yield f"{key}: {_shown(before)} -> {_shown(today)}"


def _shown(value: Any) -> str:
    return "its neutral value" if value is None else json.dumps(value)
