"""Puts our numbers beside those that the paper or another source prints, with gains and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from dmix.grid.axes import AXIS
from dmix.grid.schema import Params
from dmix.report.cells import TableCell
from dmix.report.levels import Key, named_by
from dmix.report.paired import Paired
from dmix.report.published import Numbers, titles
from dmix.report.reported import TRIALS, Published
from dmix.report.table import TableData

Verdict = Literal[
    "within 2 standard errors",
    "above",
    "below",
    "one seed: no standard error",
    "not comparable: embedded data",
    "no record",
    "not reported",
]


@dataclass(frozen=True)
class Comparison:
    """One of our cells beside one published number.

    Attributes
    ----------
    row: title of the policy, or of the method with what its objective adds, wherever it is in the table.
    settings: level -> key and title, of the settings and recipes that are rows or columns.
    difference: ours minus theirs.
    z: the difference in standard errors of the two means; None where it has none.
    gain: ours over the cell that the table compares with, paired by seed.
    reported_gain: of the same source as `reported`.
    """

    dataset: str
    backbone: str
    row: str
    objective: str
    settings: Mapping[str, tuple[Key, str]]
    mean: float | None
    std: float | None
    n: int
    reported: float | None
    reported_std: float | None
    source: str
    difference: float | None
    z: float | None
    verdict: Verdict
    gain: Paired | None
    reported_gain: float | None


def compare(data: TableData, params: Params) -> tuple[Comparison, ...]:
    """Return one comparison for each cell and published number, and one for each cell without any."""
    return tuple(_compare(data, params))


def _compare(data: TableData, params: Params) -> Iterator[Comparison]:
    name = named_by((data.rows_by, *data.levels))
    for i, row in enumerate(data.rows):
        for j, column in enumerate(data.columns):
            cell, gains = data.cells[i][j], data.published_gains[i][j]
            if cell.state == "absent":
                continue
            headers = data.headers(row, column)
            titled = (*titles(headers, cell, params, name), params.objectives[cell.objective].title)
            others = {level: header for level, header in headers.items() if level not in AXIS}
            for published in data.published[i][j] or (None,):
                yield _beside(titled, others, cell, published, gains)


def _beside(
    titles: tuple[str, str, str, str],
    settings: Mapping[str, tuple[Key, str]],
    cell: TableCell,
    published: Published | None,
    gains: Numbers,
) -> Comparison:
    difference = error = z = None
    # Embedded data are not the source's data, so that a difference would mean nothing.
    if published is not None and cell.mean is not None and "embedded" not in cell.editions:
        difference = cell.mean - published.value
        error = standard_error(cell, published)
        z = difference / error if error else None
    return Comparison(
        *titles,
        settings=settings,
        mean=cell.mean,
        std=cell.std,
        n=cell.n,
        reported=published.value if published else None,
        reported_std=published.std if published else None,
        source=published.source if published else "",
        difference=difference,
        z=z,
        verdict=_verdict(cell, difference, error),
        gain=cell.gain,
        reported_gain=next(
            (gain.value for gain in gains if published and gain.source == published.source), None
        ),
    )


def standard_error(cell: TableCell, published: Published) -> float | None:
    """Return the standard error of the difference, None with fewer than two seeds of ours.

    It is sqrt(std^2 / n + reported_std^2 / 3). A source that prints no spread adds nothing, so the error is
    then too small and the verdict too strict.
    """
    if cell.std is None:
        return None
    return math.sqrt(cell.std**2 / cell.n + (published.std or 0.0) ** 2 / TRIALS)


def _verdict(cell: TableCell, difference: float | None, error: float | None) -> Verdict:
    if cell.mean is None:
        return "no record"
    if "embedded" in cell.editions:
        return "not comparable: embedded data"
    if difference is None:
        return "not reported"
    if error is None:
        return "one seed: no standard error"
    if abs(difference) <= 2 * error:
        return "within 2 standard errors"
    return "above" if difference > 0 else "below"
