"""The words around a table: its caption and the notes below it, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from dmix.report.cells import State, TableCell
from dmix.report.layout import column_labels, spans
from dmix.report.table import TableData

NAMED = 5
GAPS: Mapping[State, str] = {"not yet implemented": "not yet implemented", "missing": "without a record"}


def caption(data: TableData, best: str) -> str:
    """Return the caption without the number; `best` is how the format marks the best mean."""
    return " ".join(_sentences(data, best))


def _sentences(data: TableData, best: str) -> Iterator[str]:
    yield f"{data.title}."
    if data.expected > 1:
        yield f"Mean ± standard deviation over {data.expected} seeds."
    else:
        yield "One seed."
    if data.gain:
        yield f"In parentheses, the gain of {data.gain[0]} over {data.gain[1]}, paired by seed."
    yield f"The best mean of {data.best_of} is {best}."
    if "embedded" in data.editions:
        yield f"Data: {' and '.join(sorted(data.editions))}."
    if data.tier_note:
        yield data.tier_note


def notes(data: TableData) -> tuple[str, ...]:
    """Return the lines below the table: what is incomplete, what is not used, what deviates."""
    return tuple(_notes(data))


def _notes(data: TableData) -> Iterator[str]:
    if any(cell.state == "partial" for row in data.cells for cell in row):
        yield f"[n=k]: k of the {data.expected} seeds are complete."
    for state, what in GAPS.items():
        for _, count, which in _places(data, state):
            yield f"{_cells(count)} {what}: {which}."
    for way_out, count, which in _places(data, "blocked"):
        yield f"{_cells(count)} blocked ({way_out}): {which}."
    if data.invalid:
        more = len(data.invalid) - NAMED
        names = ", ".join(data.invalid[:NAMED]) + (f" and {more} more" if more > 0 else "")
        what = "record is" if len(data.invalid) == 1 else "records are"
        yield f"{len(data.invalid)} {what} invalid and not used: {names}."
    if data.deviations:
        yield f"Deviations: {', '.join(data.deviations)} (reference/deviations.csv)."


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _places(data: TableData, state: State) -> Iterator[tuple[str, int, str]]:
    """Yield (way out, number of cells, their place in the table) for each way out of cells in `state`."""
    found = [cell.way_out for row in data.cells for cell in row if cell.state == state]
    for way_out in dict.fromkeys(found):

        def chosen(cell: TableCell, way_out: str = way_out) -> bool:
            return cell.state == state and cell.way_out == way_out

        yield way_out, found.count(way_out), ", ".join(_headers(data, chosen) or _rows(data, chosen))


def _headers(data: TableData, chosen: Callable[[TableCell], bool]) -> list[str]:
    """Return the header titles whose columns are chosen whole, if the chosen cells are exactly these.

    The outermost header line with such titles is taken. Returns nothing where no line has any, or where every
    title of the line would be named.
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
    """Return the rows with chosen cells by title, followed by the columns unless all cells are chosen."""
    labels = column_labels(data)
    rows = []
    for row, cells in zip(data.rows, data.cells, strict=True):
        there = [label for label, cell in zip(labels, cells, strict=True) if chosen(cell)]
        if there:
            whole = len(there) == sum(cell.state != "absent" for cell in cells)
            rows.append(row.title if whole else f"{row.title} ({', '.join(there)})")
    return rows
