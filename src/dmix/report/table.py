"""A table before it is drawn: rows, columns and cells, free of any format."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dmix.errors import DmixError
from dmix.grid.addons import with_base
from dmix.grid.axes import ADDON, OBJECTIVE, POLICY
from dmix.grid.schema import Params
from dmix.grid.table import Table
from dmix.report.cells import Runs, TableCell, build_cell, mark_best
from dmix.report.columns import Column, Keys, build_columns, column_keys
from dmix.report.frame import NO_SETTING
from dmix.report.levels import Key, Run, addon_title, heading, key_of
from dmix.report.published import Numbers, published_cells, published_gain
from dmix.report.reported import ReportedKey
from dmix.report.rows import Row, build_rows

BARE = "the bare method"
# Keys of the row and of each header line -> seed -> run.
Pool = Mapping[Keys, Runs]


@dataclass(frozen=True)
class TableData:
    """What a table shows.

    Attributes
    ----------
    name, number, title: as in `params.yaml`.
    tier, tier_note: the tier and what it prints in every caption.
    rows_by: the axis or setting of the rows.
    levels: the axis or setting of each header line.
    cells: cells[row][column].
    gain: the two objectives or add-ons that are compared, if any, as the rows or columns call them.
    published: published[row][column], the published numbers of a cell by precedence of their source.
    published_gains: published_gains[row][column], the gain by each source that prints both numbers.
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
    published: tuple[tuple[Numbers, ...], ...]
    published_gains: tuple[tuple[Numbers, ...], ...]
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

    @property
    def best_of(self) -> str:
        """Among which cells the best mean is marked, as the caption says it."""
        if not _is_problem(self.rows_by):
            return "each column"
        return " and ".join(
            ("each row", *(heading(level).lower() for level in filter(_is_problem, self.levels)))
        )

    def headers(self, row: Row, column: Column) -> Mapping[str, tuple[Key, str]]:
        """Return key and title of every level, of the rows and of the header, for one cell."""
        of_columns = zip(self.levels, zip(column.keys, column.titles, strict=True), strict=True)
        return {self.rows_by: (row.key, row.title), **dict(of_columns)}


def build_table(
    name: str,
    frame: pd.DataFrame,
    table: Table,
    params: Params,
    tier: str,
    deviations: tuple[str, ...] = (),
    reported: Mapping[ReportedKey, Numbers] | None = None,
) -> TableData:
    """Lay `frame` out as `table` says.

    Parameters
    ----------
    reported: published numbers, as `read_reported` returns them for `table`; None: there are none.

    Raises
    ------
    DmixError: runs that differ in more than the seed would stand in one cell, or no run has the setting of
    the rows or of a column.
    """
    runs: list[dict[str, Any]] = [
        {str(key): value for key, value in row.items()} for row in frame.to_dict("records")
    ]
    rows = build_rows(name, runs, table, params)
    columns = build_columns(name, runs, table, params)
    pool = _pool(name, runs, table)
    keys = [[(row.key, *column.keys) for column in columns] for row in rows]
    over = {cell: _over(pool, cell, table, params) for line in keys for cell in line}
    cells = [[build_cell(pool.get(cell, {}), pool.get(over[cell], {})) for cell in line] for line in keys]
    published = published_cells(rows, columns, cells, table, params, reported or {})
    by_keys = {
        cell: found for line in zip(keys, published, strict=True) for cell, found in zip(*line, strict=True)
    }
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
        cells=mark_best(cells, _competitions(rows, columns, table)),
        published=published,
        published_gains=tuple(
            tuple(published_gain(by_keys[cell], by_keys.get(over[cell], ())) for cell in line)
            for line in keys
        ),
        gain=_gain(table, params),
        invalid=tuple(run["name"] for run in runs if run["state"] == "invalid"),
        deviations=deviations,
        losses=table.losses,
    )


def _is_problem(level: str) -> bool:
    """Return whether a level says what is learned, so that numbers at its different keys do not compete."""
    return level == "backbone" or level.partition(".")[0] in ("dataset", "labels")


def _competitions(
    rows: Sequence[Row], columns: Sequence[Column], table: Table
) -> Sequence[Sequence[Hashable]]:
    """Return for each cell what it shares with the cells among which the best mean is marked.

    The column; or, where the rows are data sets, networks or labels, the row and such keys of the column.
    """
    if not _is_problem(table.rows):
        return [[column.keys for column in columns] for _ in rows]
    problems = [index for index, level in enumerate(table.columns) if _is_problem(level)]
    return [[(row.key, *(column.keys[index] for index in problems)) for column in columns] for row in rows]


def _gain(table: Table, params: Params) -> tuple[str, str] | None:
    if table.gain is None:
        return None

    def called(compared: str) -> str:
        if table.compared == ADDON:
            return addon_title(compared, params) or BARE
        return params.objectives[compared].title

    return called(table.gain.of), called(table.gain.over)


def _pool(name: str, runs: Sequence[Run], table: Table) -> Pool:
    """Return the runs by cell and seed, refusing runs of one cell that differ in more than the seed."""
    pool: dict[Keys, dict[int, Run]] = {}
    for run in runs:
        seeds = pool.setdefault((key_of(run, table.rows, table), *column_keys(run, table)), {})
        for other in seeds.values():
            if _without_seed(other) != _without_seed(run):
                raise DmixError(
                    f"table {name}: {other['name']} and {run['name']} would stand in one cell",
                    f"give tables.{name} other grids, or more axes and settings as columns",
                )
        seeds[int(run["seed"])] = run
    return pool


def _without_seed(run: Run) -> str:
    return str(run["name"]).rpartition("/")[0]


def _over(pool: Pool, keys: Keys, table: Table, params: Params) -> Keys:
    """Return the cell that the gain of the cell `keys` is over, () where it has none."""
    runs = pool.get(keys, {})
    gain = table.gain
    if gain is None or {run[table.compared] for run in runs.values()} != {gain.of}:
        return ()
    beside = _entries_with(gain.over, table, params)
    wanted = tuple(
        (key[0], gain.over) if isinstance(key, tuple) else beside.get(level, key)
        for level, key in zip(table.levels, keys, strict=True)
    )
    return _nearest(pool, wanted, gain.over, table.compared)


def _entries_with(over: str, table: Table, params: Params) -> Mapping[str, str]:
    """Return axis -> key, of the axes on which the runs that a gain is over differ from those it is of."""
    if table.compared == OBJECTIVE:
        return {OBJECTIVE: table.place.get(over, over)}
    addon = with_base(params, over)
    objective = table.place.get(addon.objective, addon.objective)
    return {ADDON: over, POLICY: addon.policy, OBJECTIVE: objective}


def _nearest(pool: Pool, wanted: Keys, over: str, axis: str) -> Keys:
    """Return the cell at `wanted` whose runs have `over` on `axis`, or else the one nearest to it; or ().

    Nearest is a cell that differs only by settings that its runs do not have (MCE has no eta), and by as few
    as possible. A cell may hold another objective, one that `place` put there.
    """
    found = [
        keys
        for keys, runs in pool.items()
        if all(key in (NO_SETTING, other) for key, other in zip(keys, wanted, strict=True))
        and {run[axis] for run in runs.values()} == {over}
    ]
    return min(
        found, key=lambda keys: sum(key != other for key, other in zip(keys, wanted, strict=True)), default=()
    )
