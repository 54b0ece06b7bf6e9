"""Which cells a note below a table speaks of, in few words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dmix.report.cells import State, TableCell
from dmix.report.layout import column_labels, spans
from dmix.report.table import TableData


def whereabouts(data: TableData, state: State) -> Iterator[tuple[str, int, str]]:
    """Yield way out, number of cells and where they are, for each way out of the cells in `state`."""
    there = [cell.way_out for row in data.cells for cell in row if cell.state == state]
    for way_out in dict.fromkeys(there):

        def chosen(cell: TableCell, way_out: str = way_out) -> bool:
            return cell.state == state and cell.way_out == way_out

        yield way_out, there.count(way_out), ", ".join(_headers(data, chosen) or _rows(data, chosen))


def _headers(data: TableData, chosen: Callable[[TableCell], bool]) -> list[str]:
    """Return header titles, outermost first, where the chosen cells are all those below these titles.

    Nothing where no such titles exist, or where all of them would be named.
    """
    columns = [
        [cell for cell in column if cell.state != "absent"] for column in zip(*data.cells, strict=True)
    ]
    for level in range(len(data.levels)):
        found = spans(data, level)
        labels = column_labels(data, level)
        below = [
            [chosen(cell) for column in columns[s.start : s.start + s.width] for cell in column]
            for s in found
        ]
        whole = [labels[span.start] for span, here in zip(found, below, strict=True) if here and all(here)]
        if whole and len(whole) < len(found) and all(all(here) or not any(here) for here in below):
            return whole
    return []


def _rows(data: TableData, chosen: Callable[[TableCell], bool]) -> list[str]:
    """Return whole rows by title, others with the columns of their chosen cells."""
    labels = column_labels(data)
    rows = []
    for row, cells in zip(data.rows, data.cells, strict=True):
        there = [label for label, cell in zip(labels, cells, strict=True) if chosen(cell)]
        if there:
            whole = len(there) == sum(cell.state != "absent" for cell in cells)
            rows.append(row.title if whole else f"{row.title} ({', '.join(there)})")
    return rows
