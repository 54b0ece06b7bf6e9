"""Orders the jobs of a workflow so that one table is there early and all others fill evenly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from dmix.grid.expand import Grid
from dmix.grid.spec import RunSpec
from dmix.grid.work import tflop

Key = tuple[bool, int, float, int]


def ranks(grid: Grid) -> Mapping[str, int]:
    """Return the place, from 0, of each run and class relation in the order in which they are to start.

    The table that costs least comes first. Then the first seed of every cell comes before the second of any,
    of one seed the cheap runs before the dear ones (by images, passes and operations), and equal ones in the
    order of the grids. What a run is made from (the run whose weights it starts from, its class relation)
    comes before it, wherever it stands itself.
    """
    costs = {name: tflop(grid, spec) for name, spec in grid.runs.items()}
    first = _cheapest_table(grid, costs)
    seeds: Counter[str] = Counter()
    own: dict[str, Key] = {}
    for place, (name, spec) in enumerate(grid.runs.items()):
        own[name] = (name not in first, seeds[spec.cell], costs[name], place)
        seeds[spec.cell] += 1
    # By the first of those that wait for it, and of these chains, what waits for nothing comes first.
    keys = {name: (key, _depth(grid.runs[name])) for name, key in own.items()}
    for name, spec in grid.runs.items():
        for needed in _needs(spec):
            early = (own[name], _depth(needed))
            keys[needed.name] = min(keys.get(needed.name, early), early)
    return {name: rank for rank, name in enumerate(sorted(keys, key=keys.__getitem__))}


def _cheapest_table(grid: Grid, costs: Mapping[str, float]) -> frozenset[str]:
    """Return the runs of the table that costs least, of equal ones of the first; none without tables."""
    tables = (grid.table_runs(table) for table in grid.tables.values())
    return frozenset(
        min(filter(None, tables), key=lambda runs: sum(map(costs.__getitem__, runs)), default=())
    )


def _needs(spec: RunSpec) -> Iterator[RunSpec]:
    """Yield all that has to be finished before the run starts."""
    for needed in (spec.source, spec.relation):
        if needed is not None:
            yield needed
            yield from _needs(needed)


def _depth(spec: RunSpec) -> int:
    return sum(1 for _ in _needs(spec))
