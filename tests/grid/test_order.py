"""The order in which a workflow starts its runs: by seed, cheap before dear, sources before all of it."""

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


def test_in_a_grid_without_sources_it_is_by_seed_then_cost_then_place(expanded):
    grid = expanded(small=True, tier="embedded")
    place = {name: number for number, name in enumerate(grid.runs)}
    seconds = {name: tflop(grid, spec) for name, spec in grid.runs.items()}
    wanted = sorted(grid.runs, key=lambda name: (grid.runs[name].seed, seconds[name], place[name]))
    assert ordered(grid) == wanted
    assert wanted != list(grid.runs)
    assert len(set(seconds.values())) > 1


def test_seeds_count_from_the_first_of_their_cell(expanded):
    grid = expanded(("seeds: [0, 1, 2] # the", "seeds: [7, 3, 5] # the"), small=True, tier="embedded")
    seeds = [grid.runs[name].seed for name in ordered(grid)]
    cells = len(seeds) // 3
    assert seeds == [7] * cells + [3] * cells + [5] * cells


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
    seen, own = {}, {}
    for name, spec in grid.runs.items():
        seen[spec.cell] = seen.get(spec.cell, -1) + 1
        own[name] = (seen[spec.cell], tflop(grid, spec))
    needed = {need for spec in grid.runs.values() for need in needs(spec)}
    free = [name for name in ordered(grid) if name in grid.runs and name not in needed]
    assert [own[name] for name in free] == sorted(own[name] for name in free)
    assert needed
