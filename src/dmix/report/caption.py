"""The words around a table: its caption and the notes below it, the same in every format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dmix.report.cells import State, TableCell
from dmix.report.layout import column_labels, spans
from dmix.report.reported import TRIALS, said_letters
from dmix.report.table import TableData

NAMED = 5
GAPS: Mapping[State, str] = {"not yet implemented": "not yet implemented", "missing": "without a record"}


@dataclass(frozen=True)
class Note:
    """A line below a table; that of a deviation begins with its letter in the ledger of deviations."""

    text: str
    letter: str = ""


def paper_sentences(data: TableData) -> Iterator[str]:
    """Yield what the caption says after the title, where the cells have our numbers alone."""
    yield _spread(data, "")
    yield from _common(data)


def beside_sentences(data: TableData) -> Iterator[str]:
    """Yield what the caption says after the title, where published numbers stand below ours."""
    shown = {number.source for line in data.published for numbers in line for number in numbers[:1]}
    if not shown:
        yield _spread(data, "")
        yield "No source prints numbers of this table."
    else:
        yield _spread(data, "Ours: ")
        yield f"Below, where a source prints one, the published number ({said_letters(shown)})."
    yield from _common(data)


def _spread(data: TableData, ours: str) -> str:
    if not data.expected:
        return f"{ours}no run." if ours else "No run."
    if data.expected == 1:
        return f"{ours}one seed." if ours else "One seed."
    fewer = f", fewer than the paper's {TRIALS}" if data.expected < TRIALS else ""
    mean = f"{ours}mean" if ours else "Mean"
    return f"{mean} ± standard deviation over {data.expected} seeds{fewer}."


def _common(data: TableData) -> Iterator[str]:
    if data.gain and data.gain_rows:
        yield f"Gain: of {data.gain[0]} over {data.gain[1]}, paired by seed, ± standard error."
    if "embedded" in data.editions:
        yield f"Data: {' and '.join(sorted(data.editions))}."
    if data.tier_note:
        yield data.tier_note


def notes(data: TableData) -> tuple[Note, ...]:
    """Return the lines below the table: what is incomplete, what is not used, what sets it apart."""
    found = [*map(Note, _incomplete(data))]
    told = [Note(item.short, item.id) for item in data.deviations if item.short]
    return (*found, *told, *map(Note, _untold(len(data.deviations) - len(told), bool(told))))


def _untold(count: int, more: bool) -> Iterator[str]:
    if count:
        what = f"{'further ' if more else ''}deviation{'' if count == 1 else 's'} from the paper"
        yield f"{count} {what}: see the ledger (reference/deviations.csv)."


def _incomplete(data: TableData) -> Iterator[str]:
    if any(cell.mean is not None and cell.n < data.expected for row in data.cells for cell in row):
        yield f"[n=k]: k seeds in place of {data.expected}."
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
