"""Our numbers beside those that the paper or another source prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dmix.grid.axes import METHOD
from dmix.grid.schema import Params
from dmix.grid.table import Labels
from dmix.report.cells import TableCell
from dmix.report.columns import Column
from dmix.report.levels import named_by
from dmix.report.numbers import shortest
from dmix.report.reported import Published
from dmix.report.rows import Row
from dmix.report.table import TableData

REPORTED_TRIALS = 3  # the paper, section 4: mean of three trials
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
    labels: share or number of labels of our runs, as sources write it; "" where the table has no labels.
    difference: ours minus theirs.
    z: the difference in standard errors of the two means; None where it has none.
    """

    dataset: str
    backbone: str
    row: str
    objective: str
    labels: str
    mean: float | None
    std: float | None
    n: int
    reported: float | None
    reported_std: float | None
    source: str
    difference: float | None
    z: float | None
    verdict: Verdict


def compare(data: TableData, params: Params, labels: Labels | None = None) -> tuple[Comparison, ...]:
    """Return one comparison for each cell and published number, and one for each cell without any.

    Parameters
    ----------
    labels: which setting of the table says the labels, and how sources write it; None: the table has none.
    """
    return tuple(_compare(data, params, labels))


def _compare(data: TableData, params: Params, labels: Labels | None) -> Iterator[Comparison]:
    name = named_by((data.rows_by, *data.levels))
    for row, cells, numbers in zip(data.rows, data.cells, data.published, strict=True):
        for column, cell, found in zip(data.columns, cells, numbers, strict=True):
            if cell.state == "absent":
                continue
            objective = params.objectives[cell.objective]
            titles = (
                params.datasets[cell.dataset].title,
                params.backbones[cell.backbone].title,
                data.headers(row, column)[METHOD][1]
                if name == METHOD
                else params.policies[cell.policy].title,
            )
            written = _written(labels, data, row, column)
            for published in found or (None,):
                yield _beside((*titles, objective.title, written), cell, published)


def _written(labels: Labels | None, data: TableData, row: Row, column: Column) -> str:
    """Return the labels of a cell as sources write them, "" where the table has none."""
    if labels is None:
        return ""
    return labels.format.replace("{}", shortest(data.headers(row, column)[labels.setting][0]))


def _beside(
    shown: tuple[str, str, str, str, str], cell: TableCell, published: Published | None
) -> Comparison:
    difference = error = z = None
    # Embedded data are not the source's data, so that a difference would mean nothing.
    if published is not None and cell.mean is not None and "embedded" not in cell.editions:
        difference = cell.mean - published.value
        error = standard_error(cell, published)
        z = difference / error if error else None
    return Comparison(
        *shown,
        mean=cell.mean,
        std=cell.std,
        n=cell.n,
        reported=published.value if published else None,
        reported_std=published.std if published else None,
        source=published.source if published else "",
        difference=difference,
        z=z,
        verdict=_verdict(cell, difference, error),
    )


def standard_error(cell: TableCell, published: Published) -> float | None:
    """Return the standard error of the difference, None with fewer than two seeds of ours.

    It is sqrt(std^2 / n + reported_std^2 / 3). A source that prints no spread adds nothing, so the error is
    then too small and the verdict too strict.
    """
    if cell.std is None:
        return None
    return math.sqrt(cell.std**2 / cell.n + (published.std or 0.0) ** 2 / REPORTED_TRIALS)


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
