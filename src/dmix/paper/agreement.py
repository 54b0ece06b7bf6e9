"""Counts where our numbers and gains agree with the published ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dmix.grid.schema import Params
from dmix.report.compare import Comparison, Verdict, compare
from dmix.report.table import TableData

WITHIN: Verdict = "within 2 standard errors"
ABOVE: Verdict = "above"
BELOW: Verdict = "below"


@dataclass(frozen=True)
class Agreement:
    """Of the numbers of a table beside published ones, and of its gains, how many agree.

    Attributes
    ----------
    numbers: how many published numbers stand beside a cell. within, above, below: of these, by verdict.
    others: why the rest has no such verdict -> how many.
    gains: cells with a paired gain. positive: of these, with a mean above zero.
    clear, reversed_: with a 95 % interval above, or below, zero. intervals: with an interval.
    published: published gains beside ours, by the first source that prints one. published_positive: of these,
    above zero. same_sign: of these, with the sign of ours.
    """

    numbers: int
    within: int
    above: int
    below: int
    others: Mapping[str, int]
    gains: int
    positive: int
    intervals: int
    clear: int
    reversed_: int
    published: int
    published_positive: int
    same_sign: int


def comparisons(data: TableData, params: Params) -> tuple[Comparison, ...]:
    """Return the cells of a table beside each published number."""
    return tuple(row for row in compare(data, params) if row.reported is not None)


def agreement(data: TableData, rows: Iterable[Comparison]) -> Agreement:
    """Count the verdicts of `rows`, the comparisons of `data`, and the signs of its gains."""
    verdicts = Counter(row.verdict for row in rows)
    kinds = (WITHIN, ABOVE, BELOW)
    pairs = list(_gains(data))
    ours = [cell.gain for row in data.cells for cell in row if cell.gain is not None]
    return Agreement(
        numbers=verdicts.total(),
        within=verdicts[WITHIN],
        above=verdicts[ABOVE],
        below=verdicts[BELOW],
        others={verdict: count for verdict, count in verdicts.items() if verdict not in kinds},
        gains=len(ours),
        positive=sum(gain.mean > 0 for gain in ours),
        intervals=sum(gain.low is not None for gain in ours),
        clear=sum(gain.low is not None and gain.low > 0 for gain in ours),
        reversed_=sum(gain.high is not None and gain.high < 0 for gain in ours),
        published=len(pairs),
        published_positive=sum(theirs > 0 for _, theirs in pairs),
        same_sign=sum((mine > 0) == (theirs > 0) for mine, theirs in pairs),
    )


def farthest(compared: Iterable[tuple[str, Comparison]], most: int) -> tuple[tuple[str, Comparison], ...]:
    """Return the at most `most` rows above or below the published number, the largest |z| first.

    Parameters
    ----------
    compared: number of the table, row.
    """
    differing = [(number, row) for number, row in compared if row.verdict in (ABOVE, BELOW)]
    return tuple(sorted(differing, key=lambda pair: -abs(pair[1].z or 0.0))[:most])


def _gains(data: TableData) -> Iterator[tuple[float, float]]:
    """Yield our paired gain and the published one of each cell that has both."""
    for cells, numbers in zip(data.cells, data.published_gains, strict=True):
        for cell, found in zip(cells, numbers, strict=True):
            if cell.gain is not None and found:
                yield cell.gain.mean, found[0].value
