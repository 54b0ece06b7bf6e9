"""A table as CSV in long form: one line for each cell, with full precision, for other programs."""

from __future__ import annotations

import csv
import io

from dmix.report.columns import setting_levels
from dmix.report.numbers import exact
from dmix.report.rows import POLICY
from dmix.report.table import TableData

AXES = ("dataset", "backbone", "policy", "objective")
NUMBERS = ("mean", "std", "n", "expected", "gain", "gain_n", "state", "tier", "edition")


def to_csv(data: TableData) -> str:
    """Return every cell of the grid, gaps included, by the entry names of `params.yaml`.

    Settings that are rows or header levels stand beside the axes, and the method where rows are no policies,
    with its loss terms where the table shows them.
    """
    losses = ("losses",) if data.losses else ()
    axes = AXES if data.rows_by == POLICY else ("method", *losses, *AXES)
    settings = setting_levels((data.rows_by, *data.levels))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*axes, *settings, *NUMBERS])
    for row, cells in zip(data.rows, data.cells, strict=True):
        for column, cell in zip(data.columns, cells, strict=True):
            if cell.state == "absent":
                continue
            keys = {data.rows_by: row.key, **dict(zip(data.levels, column.keys, strict=True))}
            writer.writerow(
                [
                    *(row.losses if axis == "losses" else getattr(cell, axis) for axis in axes),
                    *(keys[level] for level in settings),
                    *(exact(cell.mean), exact(cell.std), cell.n, cell.expected),
                    *(exact(cell.gain), cell.gain_n or "", cell.state, data.tier, "+".join(cell.editions)),
                ]
            )
    return out.getvalue()
