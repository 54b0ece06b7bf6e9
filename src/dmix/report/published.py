"""Finds the published numbers of the cells of a table, and the published gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dmix.grid.axes import METHOD
from dmix.grid.schema import ObjectiveEntry, Params
from dmix.grid.table import Labels, Table
from dmix.report.cells import TableCell
from dmix.report.columns import Column
from dmix.report.levels import Key, named_by
from dmix.report.numbers import shortest
from dmix.report.reported import Published, ReportedKey, reported_key
from dmix.report.rows import Row

Numbers = tuple[Published, ...]


def published_cells(
    rows: Sequence[Row],
    columns: Sequence[Column],
    cells: Sequence[Sequence[TableCell]],
    table: Table,
    params: Params,
    reported: Mapping[ReportedKey, Numbers],
) -> tuple[tuple[Numbers, ...], ...]:
    """Return the published numbers of each cell, `[row][column]`, in the order of `reported.SOURCES`.

    Parameters
    ----------
    reported: as `read_reported` returns it for `table`.
    """
    labels = table.reported.labels if table.reported else None

    def found(row: Row, column: Column, cell: TableCell) -> Numbers:
        if cell.state == "absent" or not reported:
            return ()
        headers = {table.rows: (row.key, row.title)}
        headers |= zip(table.columns, zip(column.keys, column.titles, strict=True), strict=True)
        return reported.get(_key(headers, cell, table, params, labels), ())

    return tuple(
        tuple(found(row, column, cell) for column, cell in zip(columns, line, strict=True))
        for row, line in zip(rows, cells, strict=True)
    )


def published_gain(numbers: Numbers, over: Numbers) -> Numbers:
    """Return by how much `numbers` exceed `over`, for each source that prints both numbers of a pair."""
    base = {number.source: number.value for number in over}
    return tuple(
        Published(number.value - base[number.source], None, number.source)
        for number in numbers
        if number.source in base
    )


def reported_objective(objective: ObjectiveEntry) -> str:
    """Return what sources call an objective: "none" for training on unmixed samples, whatever its loss."""
    return "none" if objective.group == "clean" else objective.title


def titles(
    headers: Mapping[str, tuple[Key, str]], cell: TableCell, params: Params, name: str
) -> tuple[str, str, str]:
    """Return the titles of a cell's data set, backbone, and method or policy.

    Parameters
    ----------
    headers: level -> key and title of the cell's row and column. name: the level by which rows or columns are
        named (`dmix.report.levels.named_by`).
    """
    return (
        params.datasets[cell.dataset].title,
        params.backbones[cell.backbone].title,
        headers[METHOD][1] if name == METHOD else params.policies[cell.policy].title,
    )


def _key(
    headers: Mapping[str, tuple[Key, str]],
    cell: TableCell,
    table: Table,
    params: Params,
    labels: Labels | None,
) -> ReportedKey:
    name = named_by(table.levels)
    written = labels.format.replace("{}", shortest(headers[labels.setting][0])) if labels else ""
    return reported_key(
        titles(headers, cell, params, name),
        name,
        reported_objective(params.objectives[cell.objective]),
        written,
    )
