"""The order of a workflow's runs: the cheapest table, then by seed, cheap before dear, sources before all."""

from __future__ import annotations

import pytest

from dmix.grid.order import ranks
from dmix.grid.work import tflop
from project import real_grid


def ordered(grid):
    return sorted(found := ranks(grid), key=found.__getitem__)


def needs(spec):
    """Return what has to be finished before a run starts, by hand: two levels are all there are."""
    first = [needed for needed in (spec.source, spec.relation) if needed is not None]
    return {needed.name: needed for each in first for needed in (each, each.source) if needed is not None}


def first_table(grid):
    """Return the runs of the table that costs least."""
    cost = {}
    for table in grid.tables.values():
        runs = grid.table_runs(table)
        if runs:
            cost[frozenset(runs)] = sum(tflop(grid, grid.runs[name]) for name in runs)
    least = min(cost.values())
    return next(runs for runs, total in cost.items() if total == least)


def test_in_a_grid_without_sources_it_is_by_seed_then_cost_then_place(expanded):
    grid = expanded(small=True, tier="embedded")
    place = {name: number for number, name in enumerate(grid.runs)}
    seconds = {name: tflop(grid, spec) for name, spec in grid.runs.items()}
    first = first_table(grid)
    wanted = sorted(
        grid.runs, key=lambda name: (name not in first, grid.runs[name].seed, seconds[name], place[name])
    )
    assert ordered(grid) == wanted
    assert wanted != list(grid.runs)
    assert len(set(seconds.values())) > 1


def test_seeds_count_from_the_first_of_their_cell(expanded):
    grid = expanded(("seeds: [0, 1, 2] # the", "seeds: [7, 3, 5] # the"), small=True, tier="embedded")
    first = first_table(grid)
    for part in (first, grid.runs.keys() - first):
        seeds = [grid.runs[name].seed for name in ordered(grid) if name in part]
        cells = len(seeds) // 3
        assert cells > 0
        assert seeds == [7] * cells + [3] * cells + [5] * cells


@pytest.mark.parametrize("tier", ["full", "embedded", "smoke"])
def test_in_the_papers_grid_one_table_comes_first(tier):
    grid = real_grid(tier)
    first = first_table(grid)
    made_from = {need for name in first for need in needs(grid.runs[name])}
    together = {*first, *made_from}
    assert 0 < len(together) < len(grid.runs)
    assert set(ordered(grid)[: len(together)]) == together


@pytest.mark.parametrize("tier", ["full", "embedded"])
def test_in_the_papers_grid_every_run_follows_what_it_is_made_from(tier):
    grid = real_grid(tier)
    place = ranks(grid)
    assert sorted(place.values()) == list(range(len(place)))
    assert place.keys() >= {*grid.runs, *grid.class_relations}
    pairs = [(name, needed) for name, spec in grid.runs.items() for needed in needs(spec)]
    assert pairs
    assert all(place[needed] < place[name] for name, needed in pairs)


@pytest.mark.parametrize("tier", ["full", "embedded"])
def test_in_the_papers_grid_a_run_waits_only_for_what_somebody_earlier_needs(tier):
    grid = real_grid(tier)
    seen, own, first = {}, {}, first_table(grid)
    for name, spec in grid.runs.items():
        seen[spec.cell] = seen.get(spec.cell, -1) + 1
        own[name] = (name not in first, seen[spec.cell], tflop(grid, spec))
    needed = {need for spec in grid.runs.values() for need in needs(spec)}
    free = [name for name in ordered(grid) if name in grid.runs and name not in needed]
    assert [own[name] for name in free] == sorted(own[name] for name in free)
    assert needed
