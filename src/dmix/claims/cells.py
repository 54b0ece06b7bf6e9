"""Which runs a claim compares: its cells at a tier, and the runs of each, by seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from dmix.claims.schema import Argmax, Claim, Greater, Ordering, Tested
from dmix.claims.selection import Key, Seeds, Selected
from dmix.grid.expand import Grid


@dataclass(frozen=True)
class Contrast:
    """A difference of runs: the sum of `signs` times their values, at each seed that all of them have.

    Attributes
    ----------
    title: what is compared, "" where the claim says it. signs: 1 or -1 for each run.
    cells: the runs' names without the seed. runs: seed -> names of its runs. Both in the order of `signs`.
    """

    title: str
    signs: tuple[int, ...]
    cells: tuple[str, ...]
    runs: Mapping[int, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all its runs."""
        return tuple(name for names in self.runs.values() for name in names)


@dataclass(frozen=True)
class Cell:
    """A case of a claim, such as one policy on one data set: true where every contrast is on the right side.

    Most have one contrast. A best value has one for each rival, an order one for each step. `group` is what
    the noise of a cell depends on: recipe and data set.
    """

    title: str
    contrasts: tuple[Contrast, ...]
    group: Key

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all its runs, each once."""
        return tuple(dict.fromkeys(name for contrast in self.contrasts for name in contrast.names))


def cells_of(claim: Claim, grid: Grid, *, one_alpha: bool = False) -> tuple[Cell, ...]:
    """Return the cells that a claim has at the grid's tier, with the runs that each needs.

    Parameters
    ----------
    one_alpha: only pairs of one alpha, those with a run of the grids in `claim.matched` included.
    """
    if isinstance(claim.comparison, Tested):
        return ()
    one_alpha = one_alpha or claim.cells.one_alpha
    matched = claim.matched if one_alpha else ()
    runs = Selected(grid, claim.cells.grids, claim.cells.where, matched=matched, one_alpha=one_alpha)
    if isinstance(claim.comparison, Argmax):
        return tuple(_rivals(claim.comparison, runs))
    if isinstance(claim.comparison, Ordering):
        return tuple(_steps(claim.comparison, runs))
    return tuple(_pairs(claim, runs))


def _pairs(claim: Claim, runs: Selected) -> Iterator[Cell]:
    """Yield a cell for each pair that `of` and `over` make; against the best, one for each of `of`."""
    comparison = claim.comparison
    assert not isinstance(comparison, Argmax | Ordering | Tested)
    changed = runs.changed((*comparison.of, *comparison.over))
    over = runs.groups(runs.select(comparison.over), changed)
    pairs = [
        (first, second)
        for key, firsts in runs.groups(runs.select(comparison.of), changed).items()
        for first in firsts
        for second in over.get(key, ())
    ]
    if not (isinstance(comparison, Greater) and comparison.against == "best"):
        for pair, title in zip(pairs, runs.titles(pairs, changed), strict=True):
            yield Cell(title, (_contrast(runs, "", (1, -1), pair),), runs.group(pair[0]))
        return
    firsts = list(dict.fromkeys(first for first, _ in pairs))
    for own, title in zip(firsts, runs.titles([(first,) for first in firsts]), strict=True):
        rivals = tuple(
            _contrast(runs, f"over {runs.title(second, changed)}", (1, -1), (first, second))
            for first, second in pairs
            if first == own
        )
        yield Cell(title, rivals, runs.group(own))


def _rivals(comparison: Argmax, runs: Selected) -> Iterator[Cell]:
    """Yield a cell wherever the named value and another were tried: the named one against each other."""
    changed = runs.changed(comparison.axes)
    found: list[tuple[str, list[str]]] = []
    for best in comparison.best:
        named = set(runs.select(best.when, best.value))
        for cells in runs.groups(runs.select(best.when), changed).values():
            own = [cell for cell in cells if cell in named]
            others = [cell for cell in cells if cell not in named]
            if own and others:
                found.append((own[0], others))
    titles = runs.titles([(own,) for own, _ in found])
    for (named_cell, others), title in zip(found, titles, strict=True):
        rivals = tuple(
            _contrast(runs, f"over {runs.title(other, comparison.axes)}", (1, -1), (named_cell, other))
            for other in others
        )
        yield Cell(title, rivals, runs.group(named_cell))


def _steps(comparison: Ordering, runs: Selected) -> Iterator[Cell]:
    """Yield a cell wherever all values of the order were run: every step from one to the next."""
    axis = comparison.axis
    changed = runs.changed((axis, *comparison.of, *comparison.over))
    sides = (comparison.of, comparison.over) if comparison.of else ({},)
    signs = (1, -1) if comparison.of else (1,)
    # One line for each value: of each side, the cells by what they have in all else.
    lines = [
        [runs.groups(runs.select(side, {axis: value}), changed) for side in sides]
        for value in comparison.values
    ]
    complete = [key for key in lines[0][0] if all(key in groups for line in lines for groups in line)]
    firsts = [lines[0][0][key][0] for key in complete]
    titles = runs.titles([(first,) for first in firsts])
    for key, first, title in zip(complete, firsts, titles, strict=True):
        chains = [[groups[key][0] for groups in line] for line in lines]
        steps = tuple(
            _contrast(
                runs,
                f"from {before} to {after}",
                (*signs, *(-sign for sign in signs)),
                (*chains[index + 1], *chains[index]),
            )
            for index, (before, after) in enumerate(pairwise(comparison.values))
        )
        yield Cell(title, steps, runs.group(first))


def _contrast(runs: Selected, title: str, signs: tuple[int, ...], cells: Iterable[str]) -> Contrast:
    """Return the contrast of cells over the seeds that all of them have."""
    compared = tuple(cells)
    seeds: list[Seeds] = [runs.cells[cell] for cell in compared]
    shared = sorted(set.intersection(*(set(each) for each in seeds)))
    return Contrast(title, signs, compared, {seed: tuple(each[seed] for each in seeds) for seed in shared})
