"""The columns of a table: which there are, in which order, and the title of each header level."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dmix.errors import DmixError
from dmix.grid.schema import Params, Scalar, Table
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
    """Return the levels that are settings, not axes."""
    return tuple(level for level in levels if "." in level)


def settings_of(table: Table) -> tuple[str, ...]:
    """Return the settings by which a table is laid out: of its rows, and of its columns."""
    return setting_levels((table.rows, *table.columns))


def build_columns(name: str, runs: Iterable[Run], table: Table, params: Params) -> tuple[Column, ...]:
    """Return the columns that occur: axes in the order of `params.yaml`, settings by value.

    Raises
    ------
    DmixError: no run has a setting that is to be a column.
    """
    used = {column_keys(run, table) for run in runs}
    for index, level in enumerate(table.columns):
        if level not in SECTIONS:
            check_setting(name, "columns", level, {keys[index] for keys in used})
    return tuple(
        Column(
            keys,
            tuple(_title(level, key, table, params) for level, key in zip(table.columns, keys, strict=True)),
        )
        for keys in sorted(used, key=lambda keys: _order(keys, table, params))
    )


def column_keys(run: Run, table: Table) -> Keys:
    """Return the column that a run stands in; `place` moves an objective into the column of another."""
    placed = {**run, "objective": table.place.get(run["objective"], run["objective"])}
    return tuple(scalar(placed[level]) for level in table.columns)


def scalar(value: Any) -> Scalar:
    """Return a setting as a key: itself, or its JSON where it is a list."""
    return value if isinstance(value, bool | int | float | str) else canonical_json(value)


def check_setting(name: str, where: str, level: str, values: Collection[Scalar]) -> None:
    """Refuse a setting that no run of the table `name` has; `where` is the key that asks for it."""
    if values and set(values) == {NO_SETTING}:
        raise DmixError(
            f"table {name}: none of its runs has a setting {level}",
            f"correct tables.{name}.{where}; `dmix resolve` prints every setting of a run",
        )


def rank(key: Scalar) -> tuple[int, float, str]:
    """Return the order of a value among those of a setting: runs without it, then numbers, then text."""
    if isinstance(key, str):
        return (0 if key == NO_SETTING else 2, 0.0, key)
    return (1, float(key), "")


def setting_title(level: str, key: Scalar) -> str:
    """Return the usual title of a value: "eta = 0.1"."""
    return f"{level.partition('.')[2]}{EQUALS}{shortest(key)}"


def _order(keys: Keys, table: Table, params: Params) -> list[tuple[int, float, str]]:
    """Rank a column, level by level: entries as in `params.yaml`, settings by value."""
    return [
        (0, float(list(getattr(params, SECTIONS[level])).index(key)), "") if level in SECTIONS else rank(key)
        for level, key in zip(table.columns, keys, strict=True)
    ]


def _title(level: str, key: Scalar, table: Table, params: Params) -> str:
    if level in SECTIONS:
        title: str = getattr(params, SECTIONS[level])[key].title
        return title
    if key == NO_SETTING:
        return GAP
    template = table.column_titles.get(level)
    return setting_title(level, key) if template is None else template.replace("{}", shortest(key))
