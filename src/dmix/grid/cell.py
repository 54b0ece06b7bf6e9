"""A cell of a grid, and the table of its settings: each value with the line that set it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dmix.errors import DmixError
from dmix.grid.spec import SECTIONS
from dmix.grid.yaml_lines import Document, KeyPath


@dataclass(frozen=True)
class Setting:
    """A value, and the key path of the line in the parameter files that set it."""

    value: Any
    origin: KeyPath


@dataclass(frozen=True)
class Cell:
    """One cell of a grid, without seed: a choice for each axis, a recipe and extra axes."""

    axes: Mapping[str, str]
    recipe: str
    variation: tuple[tuple[str, Any], ...]
    origin: KeyPath

    @cached_property
    def choices(self) -> tuple[Any, ...]:
        """The choices of all axes and the recipe: what cells share that differ in extra axes alone."""
        return (*self.axes.items(), self.recipe)


Table = dict[tuple[str, str], Setting]
"""(section, key) -> setting of a cell."""


def put(table: Table, document: Document, dotted: str, value: Any, origin: KeyPath) -> None:
    """Set `section.key` of a table in place of an earlier source's value.

    Raises
    ------
    DmixError: there is no such section; names the line at `origin`.
    """
    section, _, key = dotted.partition(".")
    if section not in SECTIONS or not key:
        raise DmixError(
            f"{document.where(*origin)}: unknown setting {dotted!r}",
            f"write section.key with a section of {', '.join(SECTIONS)}",
        )
    table[section, key] = Setting(value, origin)


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a list, else a list with `value` alone."""
    return value if isinstance(value, list) else [value]
