"""A table as Markdown (GitHub's dialect)."""

from __future__ import annotations

from collections.abc import Iterator

from dmix.report.caption import caption, notes
from dmix.report.cells import TableCell
from dmix.report.escape import markdown as escape
from dmix.report.layout import left_headings, left_texts, rules
from dmix.report.numbers import GAP, fixed, signed
from dmix.report.table import TableData


def to_markdown(data: TableData) -> str:
    """Return caption, table and notes.

    Markdown has a single header row, in which the header lines are broken by <br>, and no rules: a row with
    the kind of the policies below it stands for a rule, and rows of methods and settings have none.
    """
    return "\n".join(_lines(data)) + "\n"


def _lines(data: TableData) -> Iterator[str]:
    yield f"**Table {escape(data.number)}.** {escape(caption(data, 'bold'))}"
    yield ""
    titles = ["<br>".join(map(escape, column.titles)) for column in data.columns]
    left = left_headings(data)
    yield _row((*map(escape, left), *titles))
    yield _row((*("---" for _ in left), *("--:" for _ in data.columns)))
    for row, cells, rule in zip(data.rows, data.cells, rules(data), strict=True):
        if rule and row.kind:
            yield _row((f"*{row.kind}*", *("" for _ in (*left[1:], *cells))))
        yield _row((*map(escape, left_texts(data, row)), *map(cell_markdown, cells)))
    for line in notes(data):
        yield ""
        yield escape(line)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def cell_markdown(cell: TableCell) -> str:
    """Return one cell: mean, spread, gain, and n where seeds are missing."""
    if cell.mean is None:
        return GAP
    mean = fixed(cell.mean)
    parts = [f"**{mean}**" if cell.best else mean]
    if cell.std is not None:
        parts.append(f"± {fixed(cell.std)}")
    if cell.gain is not None:
        parts.append(f"({signed(cell.gain.mean)})")
    if cell.state == "partial":
        parts.append(escape(f"[n={cell.n}]"))
    return " ".join(parts)
