"""One thing that was looked at, and how findings are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# missing: something the embedded tier does without, or writes itself; broken: something it needs.
State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `command` puts it right, "" where nothing has to be."""

    group: str
    name: str
    state: State
    detail: str
    command: str = ""


def as_text(findings: Sequence[Finding]) -> str:
    """Return a table for people, group by group."""
    width = max(len(found.name) for found in findings)
    lines = []
    for group in dict.fromkeys(found.group for found in findings):
        lines.append(group)
        for found in (each for each in findings if each.group == group):
            command = f"   {found.command}" if found.command else ""
            lines.append(f"  {found.state:<8}{found.name:<{width}}  {found.detail}{command}")
    return "\n".join(lines)
