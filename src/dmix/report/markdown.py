"""A table as Markdown (GitHub's dialect)."""

from __future__ import annotations

from collections.abc import Iterator

from dmix.report.escape import markdown as escape
from dmix.report.sheet import Line, Number, Sheet


def to_markdown(sheet: Sheet) -> str:
    """Return caption, table and notes.

    Markdown has a single header row, in which the header lines are broken by <br>, and no rules: a row with
    the kind of the policies below it stands for a rule, and rows of methods and settings have none.
    """
    return "\n".join(_lines(sheet)) + "\n"


def _lines(sheet: Sheet) -> Iterator[str]:
    yield f"**Table {escape(sheet.number)}.** {escape(sheet.caption('bold'))}"
    yield ""
    titles = ["<br>".join(map(escape, column.titles)) for column in sheet.columns]
    yield _row((*map(escape, sheet.headings), *titles))
    yield _row((*("---" for _ in sheet.headings), *("--:" for _ in sheet.columns)))
    for line in sheet.lines:
        if line.rule and line.section:
            yield _row((f"*{line.section}*", *("" for _ in (*line.titles[1:], *line.numbers))))
        yield _row(tuple(_cells(line)))
    for note in sheet.notes:
        yield ""
        yield f"<sup>{note.letter}</sup> {escape(note.text)}" if note.letter else escape(note.text)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: Line) -> Iterator[str]:
    """Yield the cells of a line; published numbers and gains are small."""
    for cell in (*map(escape, line.titles), *map(_number, line.numbers)):
        yield f"<sub>{cell}</sub>" if cell and line.kind != "ours" else cell


def _number(number: Number) -> str:
    parts = [f"**{number.value}**" if number.best else number.value]
    if number.spread:
        parts.append(f"± {number.spread}")
    if number.n:
        parts.append(escape(f"[n={number.n}]"))
    return " ".join((*parts, number.source)).rstrip()
