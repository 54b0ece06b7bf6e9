"""A table of the paper before it is drawn: rows, columns and cells, free of any format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dmix.errors import DmixError
from dmix.grid.schema import Params, Table
from dmix.report.cells import Runs, TableCell, build_cell, mark_best
from dmix.report.columns import Column, Keys, Run, build_columns, column_keys
from dmix.report.frame import NO_SETTING
from dmix.report.rows import METHOD, Row, RowKey, addon_title, build_rows, row_key

BARE = "the bare method"
Pool = Mapping[tuple[RowKey, Keys], Runs]


@dataclass(frozen=True)
class TableData:
    """What a table shows.

    Attributes
    ----------
    name, number, title: as in `params.yaml`.
    tier, tier_note: the tier and what it prints in every caption.
    rows_by: what the rows are: "policy", "method", or a setting.
    levels: the axis or setting of each header level.
    cells: cells[row][column].
    gain: the two objectives or add-ons whose difference is shown, if any, as the rows or columns call them.
    invalid: names of runs whose record is not used.
    deviations: ids of the deviations from the paper that concern this table.
    losses: whether a column beside the row titles has the loss terms.
    """

    name: str
    number: str
    title: str
    tier: str
    tier_note: str
    rows_by: str
    levels: tuple[str, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[tuple[TableCell, ...], ...]
    gain: tuple[str, str] | None
    invalid: tuple[str, ...]
    deviations: tuple[str, ...] = ()
    losses: bool = False

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
    DmixError: two runs with one seed would stand in one cell, or no run has the setting of the rows or of a
    column.
    """
    runs: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in frame.to_dict("records")
    ]
    rows = build_rows(name, runs, table, params)
    columns = build_columns(name, runs, table, params)
    pool = _pool(name, runs, table)
    cells = [[_cell(pool, row, column, table) for column in columns] for row in rows]
    return TableData(
        name=name,
        number=table.number,
        title=table.title,
        tier=tier,
        tier_note=params.tiers[tier].note,
        rows_by=table.rows,
        levels=table.columns,
        rows=rows,
        columns=columns,
        cells=mark_best(cells),
        gain=_gain(table, params),
        invalid=tuple(run["name"] for run in runs if run["state"] == "invalid"),
        deviations=deviations,
        losses=table.losses,
    )


def _gain(table: Table, params: Params) -> tuple[str, str] | None:
    if table.gain is None:
        return None

    def called(compared: str) -> str:
        if table.rows == METHOD:
            return addon_title(compared, params) or BARE
        return params.objectives[compared].title

    return called(table.gain.of), called(table.gain.over)


def _pool(name: str, runs: Sequence[Run], table: Table) -> Pool:
    """Return (row, column) -> seed -> run, refusing two runs in one place."""
    pool: dict[tuple[RowKey, Keys], dict[int, Run]] = {}
    for run in runs:
        seeds = pool.setdefault((row_key(run, table), column_keys(run, table)), {})
        other = seeds.setdefault(int(run["seed"]), run)
        if other is not run:
            raise DmixError(
                f"table {name}: {other['name']} and {run['name']} would stand in one cell",
                f"give tables.{name} other grids, or more axes and settings as columns",
            )
    return pool


def _cell(pool: Pool, row: Row, column: Column, table: Table) -> TableCell:
    runs = pool.get((row.key, column.keys), {})
    gain = table.gain
    compared = "addon" if table.rows == METHOD else "objective"
    if gain is None or {run[compared] for run in runs.values()} != {gain.of}:
        return build_cell(runs, {})
    beside = {"objective": table.place.get(gain.over, gain.over)}
    wanted = tuple(beside.get(level, key) for level, key in zip(table.columns, column.keys, strict=True))
    other = (row.key[0], gain.over) if isinstance(row.key, tuple) else row.key
    # The column found may show another objective in this row, one that `place` put there.
    over = {
        seed: run
        for (key, keys), others in pool.items()
        if key == other and _beside(keys, wanted)
        for seed, run in others.items()
        if run[compared] == gain.over
    }
    return build_cell(runs, over)


def _beside(keys: Keys, wanted: Keys) -> bool:
    """Return whether a column is the wanted one, but for settings that its objective does not have."""
    return all(key in (NO_SETTING, other) for key, other in zip(keys, wanted, strict=True))
