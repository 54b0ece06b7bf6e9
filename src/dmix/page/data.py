"""The data that the page's script reads: cells, runs, settings, curves. What many share is stored once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from dmix.grid.axes import AXIS, METHOD
from dmix.grid.expand import Grid
from dmix.grid.origins import Told, told
from dmix.grid.spec import AXES, RunSpec, canonical_json
from dmix.page.runs import Run
from dmix.page.tables import Cell, View
from dmix.report.numbers import shortest


class Interned:
    """Numbers equal values alike, in the order in which they first come."""

    def __init__(self) -> None:
        self._index: dict[Hashable, int] = {}

    def __call__(self, value: Hashable) -> int:
        """Return the number of `value`."""
        return self._index.setdefault(value, len(self._index))

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._index)


def page_data(grid: Grid, runs: Mapping[str, Run], views: Iterable[View]) -> dict[str, Any]:
    """Return the page's data, JSON values only.

    Runs are stored column by column, `runs[column][run]`; a column that names shared values holds their
    numbers: `grids` (places of rows), `columns` (names of curves), `made` (provenance), `labels` (of `own`).
    So do the `sections` of a cell: each is a list of `settings`.
    """
    grids, columns, made, labels, settings, sections = (Interned() for _ in range(6))
    in_tables = _in_tables(views)
    cells: dict[str, list[Run]] = {}
    for run in runs.values():
        cells.setdefault(run.cell, []).append(run)
    ordered = [run for here in cells.values() for run in here]
    listed = [
        {
            "name": cell,
            "title": _title(grid, grid.runs[here[0].name]),
            "tables": in_tables.get(cell, []),
            "sections": [
                sections(tuple(settings(_setting(each)) for each in section))
                for _, section in groupby(told(grid, here[0].name), _section)
            ],
            "runs": len(here),
        }
        for cell, here in cells.items()
    ]
    histories = [run.history for run in ordered]
    by_column: dict[str, list[Any]] = {
        "seed": [run.seed for run in ordered],
        "state": [run.state for run in ordered],
        "detail": [_detail(run) for run in ordered],
        "score": [run.score for run in ordered],
        "primary": [run.primary for run in ordered],
        "digests": [run.folder.rpartition("/")[2].partition("-")[2] for run in ordered],
        "grid": [-1 if h is None else grids((h.unit, h.at)) for h in histories],
        "best": [None if h is None else h.best for h in histories],
        "columns": [-1 if h is None else columns(h.columns) for h in histories],
        "history": ["" if h is None else h.text for h in histories],
        "made": [made(run.made) for run in ordered],
        "labels": [labels(tuple(label for label, _ in run.own)) for run in ordered],
        "own": [[text for _, text in run.own] for run in ordered],
        "log": [run.log for run in ordered],
    }
    return {
        "tier": grid.tier,
        "cells": listed,
        "runs": by_column,
        "labels": list(labels),
        "grids": list(grids),
        "columns": list(columns),
        "made": list(made),
        "settings": list(settings),
        "sections": list(sections),
    }


def _in_tables(views: Iterable[View]) -> Mapping[str, list[dict[str, Any]]]:
    """Return cell -> its place in each table that shows it: address, our numbers, published numbers."""
    found: dict[str, list[dict[str, Any]]] = {}
    for view in views:
        sources = dict(view.sources)
        for line in view.lines:
            for cell in line.cells:
                if cell.run_cell:
                    found.setdefault(cell.run_cell, []).append(_place(view, cell, sources))
    return found


def _place(view: View, cell: Cell, sources: Mapping[str, str]) -> dict[str, Any]:
    published = [
        f"{number.text}{f' ± {number.std}' if number.std else ''} ({sources[number.letter]})"
        for number in cell.published
    ]
    return {
        "table": view.number,
        "address": cell.address,
        "mean": cell.mean,
        "std": cell.std,
        "note": cell.note,
        "gain": cell.gain,
        "published": published,
    }


def _title(grid: Grid, spec: RunSpec) -> list[str]:
    """Return the title of a cell in parts, as people name them; a setting that it varies comes last."""
    axes = dict(spec.axes)
    shown: list[str] = [axis for axis in AXES if axis in axes]
    if axes.get(METHOD, spec.task) == spec.task:
        shown.remove(METHOD)
    if "addon" in axes:
        shown = [axis for axis in shown if axis not in ("policy", "objective")]
        shown.append("addon")
    titles = [grid.params.title(axis, axes[axis]) for axis in shown if axes[axis] and axis in AXIS]
    varied = [f"{key.partition('.')[2]} = {shortest(value)}" for key, value in spec.variation]
    return [*filter(None, titles), *varied]


def _section(setting: Told) -> str:
    return setting.key.partition(".")[0]


def _setting(setting: Told) -> tuple[str, str, str, str]:
    value = setting.value
    text = value if isinstance(value, str) else canonical_json(value)
    return setting.key, text, setting.where, setting.why


def _detail(run: Run) -> str:
    """Return why a run has no score, in lines; "" for one that has."""
    if run.failure is None:
        return run.detail
    lines: Sequence[str] = (run.failure.reason, *run.failure.way_out)
    return "\n".join(lines)
