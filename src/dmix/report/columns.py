"""The columns of a table: which there are, in which order, and the title of each header line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dmix.grid.schema import Params
from dmix.grid.table import Table
from dmix.report.levels import Key, Run, check_setting, key_of, rank, title_of

Keys = tuple[Key, ...]


@dataclass(frozen=True)
class Column:
    """One key and one title for each header line."""

    keys: Keys
    titles: tuple[str, ...]


def column_keys(run: Run, table: Table) -> Keys:
    """Return the column that a run stands in."""
    return tuple(key_of(run, level, table) for level in table.columns)


def build_columns(name: str, runs: Iterable[Run], table: Table, params: Params) -> tuple[Column, ...]:
    """Return the columns that occur, in the order of their levels.

    Raises
    ------
    DmixError: no run has a setting that is to be a column.
    """
    used = {column_keys(run, table) for run in runs}
    for index, level in enumerate(table.columns):
        check_setting(name, "columns", level, {keys[index] for keys in used})

    def order(keys: Keys) -> list[object]:
        return [rank(key, level, table, params) for level, key in zip(table.columns, keys, strict=True)]

    def column(keys: Keys) -> Column:
        named = zip(table.columns, keys, strict=True)
        return Column(keys, tuple(title_of(key, level, table, params) for level, key in named))

    return tuple(column(keys) for keys in sorted(used, key=order))
