"""Tells the settings of a run, each with the line of the parameter files that set it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dmix.grid.expand import Grid
from dmix.grid.spec import SECTIONS
from dmix.grid.yaml_lines import KeyPath

NEUTRAL = "neutral value"


@dataclass(frozen=True)
class Told:
    """One setting of a run.

    Attributes
    ----------
    key: section and name, such as recipe.lr. value: a JSON value.
    where: "params.yaml:31", or that the value is the part's neutral one, which no line sets.
    why: the reason that an override gives, or "".
    """

    key: str
    value: Any
    where: str
    why: str = ""


def told(grid: Grid, name: str) -> Iterator[Told]:
    """Yield all settings of the run `name`, in the order of its sections."""
    origins = grid.origins(name)
    settings = grid.runs[name].settings
    for section in SECTIONS:
        for key, value in settings.get(section, {}).items():
            setting = origins.get((section, key))
            if setting is None:
                yield Told(f"{section}.{key}", value, NEUTRAL)
            else:
                line = grid.document.where(*setting.origin).partition(": ")[0]
                yield Told(f"{section}.{key}", value, line, _why(grid, setting.origin))


def _why(grid: Grid, origin: KeyPath) -> str:
    """Return the reason if an override set the value, else ""."""
    if "set" not in origin:
        return ""
    rule: Any = grid.document.data
    for key in origin[: origin.index("set")]:
        rule = rule[key]
    return str(rule.get("why", "")) if isinstance(rule, dict) else ""
