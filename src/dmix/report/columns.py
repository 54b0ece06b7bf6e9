"""The columns of a table: which there are, in which order, and the title of each header level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dmix.errors import DmixError
from dmix.grid.schema import COLUMN_AXES, Params, Scalar, Table
from dmix.grid.spec import canonical_json
from dmix.report.frame import NO_SETTING
from dmix.report.numbers import GAP, shortest

SECTIONS = {"dataset": "datasets", "backbone": "backbones", "objective": "objectives"}
EQUALS = " = "
Run = Mapping[str, Any]
Keys = tuple[Scalar, ...]


@dataclass(frozen=True)
class Column:
    """One key and one title for each header level: name of an entry, or value of a setting."""

    keys: Keys
    titles: tuple[str, ...]


def setting_levels(levels: Iterable[str]) -> tuple[str, ...]:
    """Return the header levels that are settings, not axes."""
    return tuple(level for level in levels if level not in COLUMN_AXES)


def build_columns(name: str, runs: Iterable[Run], table: Table, params: Params) -> tuple[Column, ...]:
    """Return the columns that occur: axes in the order of `params.yaml`, settings by value.

    Raises
    ------
    DmixError: no run has a setting that is to be a column.
    """
    used = {column_keys(run, table) for run in runs}
    _check_settings(name, used, table)
    return tuple(
        Column(
            keys, tuple(_title(level, key, params) for level, key in zip(table.columns, keys, strict=True))
        )
        for keys in sorted(used, key=lambda keys: _order(keys, table, params))
    )


def column_keys(run: Run, table: Table) -> Keys:
    """Return the column that a run stands in; `place` moves an objective into the column of another."""
    placed = {**run, "objective": table.place.get(run["objective"], run["objective"])}
    return tuple(_scalar(placed[level]) for level in table.columns)


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, bool | int | float | str) else canonical_json(value)


def _check_settings(name: str, used: Iterable[Keys], table: Table) -> None:
    values = {level: {keys[index] for keys in used} for index, level in enumerate(table.columns)}
    for level in setting_levels(table.columns):
        if values[level] == {NO_SETTING}:
            raise DmixError(
                f"table {name}: none of its runs has a setting {level}",
                f"correct tables.{name}.columns; `dmix resolve` prints every setting of a run",
            )


def _order(keys: Keys, table: Table, params: Params) -> list[tuple[int, float, str]]:
    """Rank a column: entries as in `params.yaml`; runs without the setting, then numbers, then text."""
    ranks = []
    for level, key in zip(table.columns, keys, strict=True):
        if level in SECTIONS:
            ranks.append((0, float(list(getattr(params, SECTIONS[level])).index(key)), ""))
        elif isinstance(key, str):
            ranks.append((0 if key == NO_SETTING else 2, 0.0, key))
        else:
            ranks.append((1, float(key), ""))
    return ranks


def _title(level: str, key: Scalar, params: Params) -> str:
    if level in SECTIONS:
        title: str = getattr(params, SECTIONS[level])[key].title
        return title
    return GAP if key == NO_SETTING else f"{level.partition('.')[2]}{EQUALS}{shortest(key)}"
