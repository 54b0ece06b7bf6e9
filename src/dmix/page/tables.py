"""Turns a table into what the page shows: titles over columns, cells with an address, published numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path

from dmix.grid.expand import Grid
from dmix.grid.table import Table
from dmix.report.build import load_table
from dmix.report.caption import Note, notes
from dmix.report.cells import TableCell
from dmix.report.columns import Keys, column_keys
from dmix.report.compare import Verdict, compare
from dmix.report.frame import NO_SETTING
from dmix.report.layout import Rule, left_headings, left_texts, rules
from dmix.report.levels import key_of
from dmix.report.numbers import GAP, fixed, signed
from dmix.report.paired import Paired
from dmix.report.published import Numbers
from dmix.report.reported import LETTERS
from dmix.report.table import TableData

MINUS = "\N{MINUS SIGN}"

MOST_COLUMNS = 18
"""Columns of a table side by side; a page of paper across has room for no more."""


@dataclass(frozen=True)
class Head:
    """A title over `width` columns, in parts: the data set, the backbone."""

    parts: tuple[str, ...]
    width: int


@dataclass(frozen=True)
class Number:
    """A published number as printed, with the letter of its source."""

    text: str
    std: str
    letter: str


@dataclass(frozen=True)
class Cell:
    """A cell of a table on the page.

    Attributes
    ----------
    run_cell: name of its runs without the seed, "" where the grid has no such cell.
    address: of its curves, as it stands behind the # of the page's address.
    mean, std, gain: as printed; "" for none.
    note: "n = 1" where seeds are missing, or why there is no number.
    """

    run_cell: str
    address: str
    mean: str
    std: str
    note: str
    best: bool
    published: tuple[Number, ...]
    gain: str


@dataclass(frozen=True)
class Line:
    """A row: its texts on the left, the rule above it, and its cells."""

    left: tuple[str, ...]
    rule: Rule
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class View:
    """A table on the page.

    Attributes
    ----------
    heads: one or two rows of titles over the columns. starts: whether a column begins a group, for each.
    sources: letter and name of each source whose numbers are shown. verdicts: how often ours and a published
    number agree, in the words of the comparison.
    """

    name: str
    number: str
    title: str
    reading: tuple[str, ...]
    left: tuple[str, ...]
    heads: tuple[tuple[Head, ...], ...]
    starts: tuple[bool, ...]
    lines: tuple[Line, ...]
    sources: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    verdicts: Mapping[Verdict, int]

    def parts(self) -> tuple[View, ...]:
        """Return the table in parts of `MOST_COLUMNS`, cut between groups of columns that are narrower."""
        ends: list[int] = []
        at = start = 0
        for group in self.heads[0]:
            if at + group.width - start > MOST_COLUMNS and at > start:
                ends.append(at)
                start = at
            while at + group.width - start > MOST_COLUMNS:
                start += MOST_COLUMNS
                ends.append(start)
            at += group.width
        return tuple(self._part(*span) for span in pairwise([0, *ends, at]))

    def _part(self, start: int, end: int) -> View:
        """Return the columns from `start` to before `end`."""
        return replace(
            self,
            heads=tuple(tuple(_cut(row, start, end)) for row in self.heads),
            starts=self.starts[start:end],
            lines=tuple(replace(line, cells=line.cells[start:end]) for line in self.lines),
        )


def _cut(heads: Iterable[Head], start: int, end: int) -> Iterator[Head]:
    """Yield the titles over the columns from `start` to before `end`."""
    at = 0
    for head in heads:
        width = min(at + head.width, end) - max(at, start)
        if width > 0:
            yield Head(head.parts, width)
        at += head.width


def view(grid: Grid, name: str, runs_root: Path, reference: Path) -> View:
    """Return the table `name` as the page shows it.

    Raises
    ------
    DmixError: records of different data meet, or a file cannot be read.
    """
    table = grid.params.tables[name]
    data = load_table(grid, name, runs_root, reference)
    cells = _run_cells(grid, table)
    heads = _heads(data)
    shown = {number.source for row in data.published for found in row for number in found}
    return View(
        name=name,
        number=data.number,
        title=data.title,
        reading=tuple(_reading(data, bool(shown))),
        left=left_headings(data),
        heads=heads,
        starts=_starts(heads[0]),
        lines=tuple(_lines(data, cells)),
        sources=tuple((letter, source) for source, letter in LETTERS.items() if source in shown),
        notes=notes(data),
        verdicts=_verdicts(data, grid, table),
    )


def _run_cells(grid: Grid, table: Table) -> Mapping[Keys, str]:
    """Return the keys of the row and the columns -> the name of the runs there, without the seed."""
    found: dict[Keys, str] = {}
    for name in grid.table_runs(table):
        spec = grid.runs[name]
        run = {"addon": "", **spec.axes, "recipe": grid.cells[name].recipe}
        for level in table.levels:
            section, dot, key = level.partition(".")
            if dot:
                run[level] = spec.settings.get(section, {}).get(key, NO_SETTING)
        found[(key_of(run, table.rows, table), *column_keys(run, table))] = spec.cell
    return found


def _heads(data: TableData) -> tuple[tuple[Head, ...], ...]:
    """Return one row of titles for a table of one level, else two: outer levels together, then the last."""
    last = tuple(Head((column.titles[-1],), 1) for column in data.columns)
    if len(data.levels) == 1:
        return (last,)
    outer = []
    for _, group in groupby(data.columns, key=lambda column: column.keys[:-1]):
        columns = list(group)
        outer.append(Head(columns[0].titles[:-1], len(columns)))
    return (tuple(outer), last)


def _starts(heads: Sequence[Head]) -> tuple[bool, ...]:
    return tuple(index == 0 for head in heads for index in range(head.width))


def _reading(data: TableData, published: bool) -> Iterable[str]:
    """Yield how to read the numbers."""
    if data.expected > 1:
        yield f"Mean ± standard deviation over {data.expected} seeds"
    else:
        yield "One seed"
    yield f"the best mean of {data.best_of} is bold"
    if published:
        yield "below it, smaller, the published number with its source"


def _lines(data: TableData, run_cells: Mapping[Keys, str]) -> Iterable[Line]:
    for row, cells, numbers, rule in zip(data.rows, data.cells, data.published, rules(data), strict=True):
        yield Line(
            left=left_texts(data, row),
            rule=rule,
            cells=tuple(
                _cell(data.name, run_cells.get((row.key, *column.keys), ""), cell, found, data.expected)
                for column, cell, found in zip(data.columns, cells, numbers, strict=True)
            ),
        )


def _cell(table: str, run_cell: str, cell: TableCell, numbers: Numbers, expected: int) -> Cell:
    return Cell(
        run_cell=run_cell,
        address=address(table, run_cell) if run_cell else "",
        mean=GAP if cell.mean is None else fixed(cell.mean),
        std="" if cell.std is None else fixed(cell.std),
        note=_note(cell, expected),
        best=cell.best,
        published=tuple(
            Number(fixed(n.value), "" if n.std is None else fixed(n.std), LETTERS[n.source]) for n in numbers
        ),
        gain=_gain(cell.gain),
    )


def address(table: str, run_cell: str) -> str:
    """Return the address of a cell: table1/cifar100/resnet18/mixup/dm_ce, without the task."""
    return f"{table}/{run_cell.partition('/')[2]}"


def _note(cell: TableCell, expected: int) -> str:
    if cell.mean is not None and cell.n < expected:
        return f"n = {cell.n}"
    return cell.state if cell.mean is None and cell.state != "absent" else ""


def _gain(gain: Paired | None) -> str:
    if gain is None:
        return ""
    if gain.low is None or gain.high is None:
        return f"{signed(gain.mean)} (one pair)".replace("-", MINUS)
    interval = f"{signed(gain.low)} to {signed(gain.high)}"
    return f"{signed(gain.mean)}, 95 % interval {interval}, {gain.n} pairs".replace("-", MINUS)


def _verdicts(data: TableData, grid: Grid, table: Table) -> Mapping[Verdict, int]:
    """Return how often ours and a published number agree; empty for a table that no source prints."""
    if table.reported is None:
        return {}
    return Counter(row.verdict for row in compare(data, grid.params))
