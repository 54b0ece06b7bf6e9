"""The statistics of one cell: mean, spread, gain, state."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dmix.report.frame import BLOCKED, DAMAGED, DONE, INVALID, UNIMPLEMENTED
from dmix.report.numbers import printed
from dmix.report.paired import Paired, paired

Runs = Mapping[int, Mapping[str, Any]]
State = Literal["done", "partial", "missing", "invalid", "blocked", "not yet implemented", "absent"]


@dataclass(frozen=True)
class TableCell:
    """One number of a table.

    Attributes
    ----------
    mean: mean score over seeds in percent; None is a gap.
    std: sample standard deviation (n - 1); None with fewer than two seeds.
    n, expected: seeds with a valid record, and seeds of the grid (0 where the grid has no such cell).
    gain: the differences from the cell that it is compared with, paired by seed; None without a pair.
    best: the highest mean at the printed precision among the cells that it is compared with.
    method, dataset, backbone, policy, objective: of the runs; `place` may show an objective in the row or
    column of another.
    editions: of the data behind the number, "real" or "embedded".
    way_out: of a blocked cell, how to get what this machine lacks.
    """

    mean: float | None
    std: float | None
    n: int
    expected: int
    state: State
    editions: tuple[str, ...]
    method: str
    dataset: str
    backbone: str
    policy: str
    objective: str
    gain: Paired | None = None
    best: bool = False
    way_out: str = ""


def build_cell(runs: Runs, over: Runs) -> TableCell:
    """Return the cell of `runs` (seed -> row of the frame), with its gain over the runs `over`."""
    ours, theirs = _scores(runs), _scores(over)
    differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    values = [ours[seed] for seed in sorted(ours)]
    state = _state(len(values), [run["state"] for run in runs.values()])
    return TableCell(
        mean=statistics.fmean(values) if values else None,
        std=statistics.stdev(values) if len(values) > 1 else None,
        n=len(values),
        expected=len(runs),
        state=state,
        editions=tuple(sorted({run["data_edition"] for run in runs.values() if run["state"] == DONE})),
        method=_entry(runs, "method"),
        dataset=_entry(runs, "dataset"),
        backbone=_entry(runs, "backbone"),
        policy=_entry(runs, "policy"),
        objective=_entry(runs, "objective"),
        gain=paired(differences),
        way_out=_way_out(runs) if state == BLOCKED else "",
    )


def mark_best(
    cells: Sequence[Sequence[TableCell]], competitions: Sequence[Sequence[Hashable]]
) -> tuple[tuple[TableCell, ...], ...]:
    """Mark the highest mean of each competition; means that print equal are all marked.

    Parameters
    ----------
    competitions: for each cell, a value that it shares with those it is compared with.
    """
    tops: dict[Hashable, float] = {}
    for row, own in zip(cells, competitions, strict=True):
        for cell, competition in zip(row, own, strict=True):
            if cell.mean is not None:
                tops[competition] = max(printed(cell.mean), tops.get(competition, -math.inf))
    return tuple(
        tuple(
            replace(cell, best=cell.mean is not None and printed(cell.mean) == tops[competition])
            for cell, competition in zip(row, own, strict=True)
        )
        for row, own in zip(cells, competitions, strict=True)
    )


def _scores(runs: Runs) -> dict[int, float]:
    return {seed: float(run["score"]) for seed, run in runs.items() if run["state"] == DONE}


def _entry(runs: Runs, axis: str) -> str:
    """Return the entry of the runs of one cell, "" where there are none."""
    return next((str(run[axis]) for run in runs.values()), "")


def _way_out(runs: Runs) -> str:
    return next(str(run["problem"]) for run in runs.values() if run["state"] == BLOCKED)


def _state(n: int, states: Sequence[str]) -> State:
    if not states:
        return "absent"
    if n:
        return "done" if n == len(states) else "partial"
    if INVALID in states or DAMAGED in states:
        return "invalid"
    if BLOCKED in states:
        return "blocked"
    return "not yet implemented" if set(states) == {UNIMPLEMENTED} else "missing"
