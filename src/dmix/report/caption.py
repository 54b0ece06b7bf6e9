"""The words around a table: its caption and the notes below it, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dmix.report.cells import State
from dmix.report.table import TableData
from dmix.report.whereabouts import whereabouts

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
    yield f"The best mean of each column is {best}."
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
        for _, count, which in whereabouts(data, state):
            yield f"{_cells(count)} {what}: {which}."
    for way_out, count, which in whereabouts(data, "blocked"):
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
