"""A finding of `dmix doctor`, and the text of all findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# missing: the embedded tier does without it or writes it itself; broken: the embedded tier needs it.
State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """The state of one thing, and the command that puts it right, "" if nothing is wrong."""

    group: str
    name: str
    state: State
    detail: str
    command: str = ""


def as_text(findings: Sequence[Finding]) -> str:
    """Return the findings as a table for people, group by group."""
    width = max(len(found.name) for found in findings)
    lines = []
    for group in dict.fromkeys(found.group for found in findings):
        lines.append(group)
        for found in (each for each in findings if each.group == group):
            command = f"   {found.command}" if found.command else ""
            lines.append(f"  {found.state:<8}{found.name:<{width}}  {found.detail}{command}")
    return "\n".join(lines)
