"""Lays a table out line by line, free of any format: as the paper prints it, or beside published numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from dmix.report.caption import Note, beside_sentences, notes, paper_sentences
from dmix.report.cells import TableCell
from dmix.report.columns import Column
from dmix.report.layout import Rule, left_headings, left_texts, rules
from dmix.report.numbers import GAP, fixed, signed
from dmix.report.published import Numbers
from dmix.report.reported import LETTERS
from dmix.report.table import TableData

GAIN = "gain"
Product = Literal["paper", "beside"]
Kind = Literal["ours", "gain", "published"]


@dataclass(frozen=True)
class Number:
    """What one cell of a line shows, as text; "" is nothing.

    Attributes
    ----------
    value: a mean, a gain or a published number; `GAP` where a mean is missing.
    spread: what follows "±".
    n: seeds behind a mean, where they are fewer than the caption says; else 0.
    source: the letter of a published number's source.
    best: whether it is set off as the best.
    """

    value: str = ""
    spread: str = ""
    n: int = 0
    source: str = ""
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes
    ----------
    titles: what stands on the left. rule: the rule above. section: kind of the policies below that rule.
    """

    kind: Kind
    titles: tuple[str, ...]
    numbers: tuple[Number, ...]
    rule: Rule = ""
    section: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table as every format prints it.

    Attributes
    ----------
    name, number, title, rows_by, levels, columns: as in `TableData`.
    headings: above the titles on the left.
    sentences: of the caption, after the title. notes: below the table.
    """

    name: str
    number: str
    title: str
    product: Product
    rows_by: str
    levels: tuple[str, ...]
    columns: tuple[Column, ...]
    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    sentences: tuple[str, ...]
    best_of: str
    notes: tuple[Note, ...]

    def caption(self, best: str) -> str:
        """Return the caption without the number; `best` is how the format marks the best mean."""
        return " ".join((f"{self.title}.", *self.sentences, f"The best mean of {self.best_of} is {best}."))

    def part(self, start: int, width: int) -> Sheet:
        """Return the columns from `start` on, without lines of published numbers that are then empty."""
        there = slice(start, start + width)
        lines = tuple(replace(line, numbers=line.numbers[there]) for line in self.lines)
        return replace(self, columns=self.columns[there], lines=tuple(filter(_says_something, lines)))


def paper(data: TableData) -> Sheet:
    """Return the table in the paper's layout: our numbers."""
    return _sheet(data, "paper", _ours_alone, paper_sentences(data))


def beside(data: TableData) -> Sheet:
    """Return the table with a second line of published numbers below each row that has any."""
    return _sheet(data, "beside", _with_published, beside_sentences(data))


def _sheet(
    data: TableData,
    product: Product,
    lines: Callable[[TableData, int], Iterator[Line]],
    sentences: Iterator[str],
) -> Sheet:
    found = []
    for index, (row, rule) in enumerate(zip(data.rows, rules(data), strict=True)):
        first, *others = lines(data, index)
        found += [replace(first, rule=rule, section=row.kind if rule else ""), *others]
    return Sheet(
        name=data.name,
        number=data.number,
        title=data.title,
        product=product,
        rows_by=data.rows_by,
        levels=data.levels,
        columns=data.columns,
        headings=left_headings(data),
        lines=tuple(found),
        sentences=tuple(sentences),
        best_of=data.best_of,
        notes=notes(data),
    )


def _ours_alone(data: TableData, row: int) -> Iterator[Line]:
    cells, gains = data.cells[row], data.published_gains[row]
    yield Line("ours", left_texts(data, data.rows[row]), tuple(_ours(data, cell) for cell in cells))
    if data.gain_rows and (any(cell.gain for cell in cells) or any(gains)):
        yield Line("gain", _titles(data, GAIN), tuple(map(_gain, cells)))


def _with_published(data: TableData, row: int) -> Iterator[Line]:
    for line in _ours_alone(data, row):
        yield line
        numbers, write = data.published[row], fixed
        if line.kind == "gain":
            numbers, write = data.published_gains[row], signed
        below = tuple(_published(found, write) for found in numbers)
        if any(numbers):
            yield Line("published", _titles(data, ""), below)


def _published(found: Numbers, write: Callable[[float], str]) -> Number:
    """Return the number of the source that comes first."""
    if not found:
        return Number()
    number = found[0]
    return Number(
        write(number.value),
        "" if number.std is None else fixed(number.std),
        source=LETTERS[number.source],
    )


def _titles(data: TableData, title: str) -> tuple[str, ...]:
    return (title, *("" for _ in left_headings(data)[1:]))


def _says_something(line: Line) -> bool:
    return line.kind == "ours" or any(number.value for number in line.numbers)


def _ours(data: TableData, cell: TableCell) -> Number:
    if cell.mean is None:
        return Number(GAP)
    return Number(
        value=fixed(cell.mean),
        spread="" if cell.std is None else fixed(cell.std),
        n=cell.n if cell.n < data.expected else 0,
        best=cell.best,
    )


def _gain(cell: TableCell) -> Number:
    if cell.gain is None:
        return Number(GAP)
    return Number(signed(cell.gain.mean), "" if cell.gain.error is None else fixed(cell.gain.error))
