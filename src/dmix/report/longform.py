"""A table as CSV in long form: one line for each cell, with full precision, for other programs."""

from __future__ import annotations

import csv
import io

from dmix.report.numbers import exact
from dmix.report.table import TableData

COLUMNS = (
    *("dataset", "backbone", "policy", "objective", "mean", "std", "n", "expected"),
    *("gain", "gain_n", "state", "tier", "edition"),
)


def to_csv(data: TableData) -> str:
    """Return every cell of the grid, gaps included, by the entry names of `params.yaml`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, cells in zip(data.rows, data.cells, strict=True):
        for cell in cells:
            if cell.state == "absent":
                continue
            writer.writerow(
                [
                    *(cell.dataset, cell.backbone, row.key, cell.objective),
                    *(exact(cell.mean), exact(cell.std), cell.n, cell.expected),
                    *(exact(cell.gain), cell.gain_n or "", cell.state, data.tier, "+".join(cell.editions)),
                ]
            )
    return out.getvalue()
