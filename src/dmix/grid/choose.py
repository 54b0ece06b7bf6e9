"""Chooses runs by tables, seeds and axes of the grid."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from dmix.errors import DmixError
from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec


@dataclass(frozen=True)
class Wanted:
    """What runs are wanted: those that have one of the values of every field that is not empty."""

    tables: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    objectives: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        """Write it as the options that say it: --tables table1 --seeds 0."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return " ".join(f"--{name} {' '.join(map(str, values))}" for name, values in said.items() if values)


VALUE: Mapping[str, Callable[[RunSpec], str | int]] = {
    "seeds": lambda spec: spec.seed,
    "datasets": lambda spec: spec.axes["dataset"],
    "backbones": lambda spec: spec.axes["backbone"],
    "policies": lambda spec: spec.axes["policy"],
    "objectives": lambda spec: spec.axes["objective"],
    "methods": lambda spec: spec.axes["method"],
}


def choose_runs(grid: Grid, wanted: Wanted, among: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the wanted runs, in the order of the grids.

    Parameters
    ----------
    among: names of the runs to choose from; None: all runs of the grid.

    Raises
    ------
    DmixError: a table or value is in no run of the tier, or no run has all that is wanted.
    """
    names = tuple(grid.runs) if among is None else tuple(among)
    if wanted.tables:
        _check("tables", wanted.tables, grid.tables, grid.tier)
        of_tables = {name for table in wanted.tables for name in grid.table_runs(grid.tables[table])}
        names = tuple(name for name in names if name in of_tables)
    for field, value in VALUE.items():
        these = getattr(wanted, field)
        if these:
            _check(field, these, dict.fromkeys(map(value, grid.runs.values())), grid.tier)
            names = tuple(name for name in names if value(grid.runs[name]) in these)
    if wanted and not names:
        raise DmixError(f"no run of tier {grid.tier} is chosen by {wanted}", "leave one of the options out")
    return names


def _check(field: str, given: Iterable[str | int], known: Iterable[str | int], tier: str) -> None:
    there = list(known)
    for value in given:
        if value not in there:
            near = difflib.get_close_matches(str(value), [str(each) for each in there], n=1)
            hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(map(str, there))}"
            raise DmixError(f"--{field} {value}: no run of tier {tier} has it", hint)
