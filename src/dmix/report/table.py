"""A table of the paper before it is drawn: rows, columns and cells, free of any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from dmix.errors import DmixError
from dmix.grid.schema import Params, Table
from dmix.report.cells import Pool, TableCell, build_cell, mark_best

KINDS = ("none", "recipe", "static", "dynamic")
SECTIONS = {"dataset": "datasets", "backbone": "backbones", "policy": "policies", "objective": "objectives"}


@dataclass(frozen=True)
class Row:
    """A policy; a rule stands between rows of different `kind`."""

    key: str
    title: str
    kind: Literal["none", "recipe", "static", "dynamic"]


@dataclass(frozen=True)
class Column:
    """One entry name and one title for each header level."""

    keys: tuple[str, ...]
    titles: tuple[str, ...]


@dataclass(frozen=True)
class TableData:
    """What a table shows.

    Attributes
    ----------
    name, number, title: as in `params.yaml`.
    tier, tier_note: the tier and what it prints in every caption.
    levels: the axis of each header level.
    cells: cells[row][column].
    gain: titles of the two objectives whose difference is shown, if any.
    invalid: names of runs whose record is not used.
    deviations: ids of the deviations from the paper that concern this table.
    """

    name: str
    number: str
    title: str
    tier: str
    tier_note: str
    levels: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[TableCell, ...], ...]
    gain: tuple[str, str] | None
    invalid: tuple[str, ...]
    deviations: tuple[str, ...] = ()

    @property
    def editions(self) -> frozenset[str]:
        """Editions of the data behind the numbers shown."""
        return frozenset(edition for row in self.cells for cell in row for edition in cell.editions)

    @property
    def expected(self) -> int:
        """The number of seeds of a complete cell."""
        return max((cell.expected for row in self.cells for cell in row), default=0)


def build_table(
    name: str, frame: pd.DataFrame, table: Table, params: Params, tier: str, deviations: tuple[str, ...] = ()
) -> TableData:
    """Lay `frame` out as `table` says.

    Raises
    ------
    DmixError: two runs with one seed would stand in one cell.
    """
    runs: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in frame.to_dict("records")
    ]
    rows = _rows(runs, params)
    columns = _columns(runs, table, params)
    pool = _pool(name, runs, table)
    cells = [[_cell(pool, row, column, table) for column in columns] for row in rows]
    gain = table.gain
    return TableData(
        name=name,
        number=table.number,
        title=table.title,
        tier=tier,
        tier_note=params.tiers[tier].note,
        levels=table.columns,
        rows=rows,
        columns=columns,
        cells=mark_best(cells),
        gain=(params.objectives[gain.of].title, params.objectives[gain.over].title) if gain else None,
        invalid=tuple(run["name"] for run in runs if run["state"] == "invalid"),
        deviations=deviations,
    )


def _rows(runs: list[dict[str, Any]], params: Params) -> tuple[Row, ...]:
    used = {run["policy"] for run in runs}
    ranked = sorted(params.policies.items(), key=lambda item: KINDS.index(item[1].kind))
    return tuple(Row(key, entry.title, entry.kind) for key, entry in ranked if key in used)


def _columns(runs: list[dict[str, Any]], table: Table, params: Params) -> tuple[Column, ...]:
    """Return the columns that occur, each level in the order of `params.yaml`."""
    order = {axis: list(getattr(params, SECTIONS[axis])) for axis in table.columns}
    used = {_column_keys(run, table) for run in runs}
    ranked = sorted(
        used, key=lambda keys: [order[axis].index(key) for axis, key in zip(table.columns, keys, strict=True)]
    )
    return tuple(
        Column(
            keys,
            tuple(
                getattr(params, SECTIONS[axis])[key].title
                for axis, key in zip(table.columns, keys, strict=True)
            ),
        )
        for keys in ranked
    )


def _column_keys(run: Mapping[str, Any], table: Table) -> tuple[str, ...]:
    """Return the column that a run stands in; `place` moves an objective into the column of another."""
    placed = {**run, "objective": table.place.get(run["objective"], run["objective"])}
    return tuple(placed[axis] for axis in table.columns)


def _pool(name: str, runs: list[dict[str, Any]], table: Table) -> Pool:
    """Return (policy, column) -> seed -> run, refusing two runs in one place."""
    pool: dict[tuple[str, tuple[str, ...]], dict[int, dict[str, Any]]] = {}
    for run in runs:
        seeds = pool.setdefault((run["policy"], _column_keys(run, table)), {})
        other = seeds.setdefault(int(run["seed"]), run)
        if other is not run:
            raise DmixError(
                f"table {name}: {other['name']} and {run['name']} would stand in one cell",
                f"give tables.{name} other grids, or more of dataset, backbone, objective as columns",
            )
    return pool


def _cell(pool: Pool, row: Row, column: Column, table: Table) -> TableCell:
    runs = pool.get((row.key, column.keys), {})
    gain = table.gain
    if gain is None or {run["objective"] for run in runs.values()} != {gain.of}:
        return build_cell(runs, {})
    placed = table.place.get(gain.over, gain.over)
    beside = tuple(
        placed if axis == "objective" else key for axis, key in zip(table.columns, column.keys, strict=True)
    )
    # That column may show another objective in this row, one that `place` put there.
    over = {
        seed: run for seed, run in pool.get((row.key, beside), {}).items() if run["objective"] == gain.over
    }
    return build_cell(runs, over)
