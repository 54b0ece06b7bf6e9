"""A table as CSV in long form: one line for each cell, with full precision, for other programs."""

from __future__ import annotations

import csv
import io

from dmix.grid.axes import METHOD, POLICY
from dmix.report.numbers import exact
from dmix.report.table import TableData

AXES = ("dataset", "backbone", "policy", "objective")
NUMBERS = ("mean", "std", "n", "expected", "gain", "gain_n", "state", "tier", "edition")


def to_csv(data: TableData) -> str:
    """Return one line for each cell of the grid, gaps included, with the names of entries in `params.yaml`.

    Settings and recipes that are rows or columns have a column too. So has the method, unless the rows are
    policies and no header line the method, and its loss terms where the table shows them.
    """
    losses = ("losses",) if data.losses else ()
    by_policy = data.rows_by == POLICY and METHOD not in data.levels
    axes = AXES if by_policy else (METHOD, *losses, *AXES)
    others = [level for level in (data.rows_by, *data.levels) if level not in (METHOD, *AXES)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, *others, *NUMBERS])
    for row, cells in zip(data.rows, data.cells, strict=True):
        for column, cell in zip(data.columns, cells, strict=True):
            if cell.state == "absent":
                continue
            headers = data.headers(row, column)
            writer.writerow(
                [
                    *(row.losses if axis == "losses" else getattr(cell, axis) for axis in axes),
                    *(headers[level][0] for level in others),
                    *(exact(cell.mean), exact(cell.std), cell.n, cell.expected),
                    *(
                        exact(cell.gain.mean if cell.gain else None),
                        cell.gain.n if cell.gain else "",
                        cell.state,
                        data.tier,
                        "+".join(cell.editions),
                    ),
                ]
            )
    return out.getvalue()
