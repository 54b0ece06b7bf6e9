"""A table as CSV in long form: one line for each cell, with full precision, for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from dmix.grid.axes import METHOD, POLICY
from dmix.report.numbers import exact
from dmix.report.published import Numbers
from dmix.report.table import TableData

AXES = ("dataset", "backbone", "policy", "objective")
NUMBERS = ("mean", "std", "n", "expected", "state", "tier", "edition")
PUBLISHED = ("published", "published_std", "source")


def paper_csv(data: TableData) -> str:
    """Return one line for each cell of the grid, gaps included, with the names of entries in `params.yaml`.

    Settings and recipes that are rows or columns have a column too. So has the method, unless the rows are
    policies and no header line the method, and its loss terms where the table shows them.
    """

    def nothing(_: Numbers) -> Sequence[str]:
        return ()

    return _csv(data, (), nothing)


def beside_csv(data: TableData) -> str:
    """Return the same with the published number that the table shows, its spread and its source."""

    def published(numbers: Numbers) -> Sequence[str]:
        if not numbers:
            return ("", "", "")
        return exact(numbers[0].value), exact(numbers[0].std), numbers[0].source

    return _csv(data, PUBLISHED, published)


def _csv(data: TableData, more: Sequence[str], published: Callable[[Numbers], Sequence[str]]) -> str:
    losses = ("losses",) if data.losses else ()
    by_policy = data.rows_by == POLICY and METHOD not in data.levels
    axes = AXES if by_policy else (METHOD, *losses, *AXES)
    others = [level for level in (data.rows_by, *data.levels) if level not in (METHOD, *AXES)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, *others, *NUMBERS, *more])
    for row, cells, numbers in zip(data.rows, data.cells, data.published, strict=True):
        for column, cell, found in zip(data.columns, cells, numbers, strict=True):
            if cell.state == "absent":
                continue
            headers = data.headers(row, column)
            writer.writerow(
                [
                    *(row.losses if axis == "losses" else getattr(cell, axis) for axis in axes),
                    *(headers[level][0] for level in others),
                    *(exact(cell.mean), exact(cell.std), cell.n, cell.expected),
                    *(cell.state, data.tier, "+".join(cell.editions)),
                    *published(found),
                ]
            )
    return out.getvalue()
