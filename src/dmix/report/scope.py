"""Which runs a deviation from the paper concerns."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dmix.errors import DmixError

KEYS = ("dataset", "backbone", "policy", "objective", "method", "recipe")
ALL = "all"
AND = " & "
CLAUSE = re.compile(r"(\w+)=([\w-]+(?:\|[\w-]+)*)")
# Key -> entries, one of which a run must have; a run is in scope where it has one of every key.
Scope = Mapping[str, tuple[str, ...]]


def parse_scope(text: str) -> Scope:
    """Return the scope that is written "all", or "key=value|value & key=value".

    Raises
    ------
    DmixError: the text is neither, or a key is unknown or stands twice.
    """
    if text == ALL:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for clause in text.split(AND):
        parts = CLAUSE.fullmatch(clause)
        if parts is None or parts[1] not in KEYS or parts[1] in found:
            raise DmixError(
                f"{text!r} is no scope",
                f"write {ALL}, or key=value|value with a key of {', '.join(KEYS)}; join several by '{AND}'",
            )
        found[parts[1]] = tuple(parts[2].split("|"))
    return found


def in_scope(scope: Scope, run: Mapping[str, str]) -> bool:
    """Return whether a run, by its axes and recipe, has one of the entries of every key."""
    return all(run[key] in entries for key, entries in scope.items())
