"""The runs of a claim's grids: which agree with a selection, and which agree in all but what is compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dmix.claims.schema import Selection
from dmix.grid.axes import ADDON, AXIS, OBJECTIVE, POLICY, RECIPE, is_setting
from dmix.grid.cell import as_list
from dmix.grid.cells import choose
from dmix.grid.expand import Grid
from dmix.grid.spec import AXES, canonical_json
from dmix.report.numbers import shortest

ALPHA = "policy.alpha"
Key = tuple[Any, ...]
Seeds = Mapping[int, str]
"""Seed -> name of a run."""


class Selected:
    """The runs of some grids, as cells: runs that differ in their seed alone.

    Parameters
    ----------
    grids: names; those that the tier omits have no runs. where: what all runs agree with.
    matched: grids of further runs, of which those count that differ from one of `grids` in alpha alone.
    one_alpha: whether compared runs must have one alpha.
    """

    def __init__(
        self,
        grid: Grid,
        grids: Sequence[str],
        where: Selection,
        *,
        matched: Sequence[str] = (),
        one_alpha: bool = False,
    ) -> None:
        self._grid = grid
        varied = {
            key for name in (*grids, *matched) for key in grid.params.grids[name] if is_setting(key)
        } - {ALPHA}
        self.keys = (*AXES, ADDON, RECIPE, *sorted(varied), *((ALPHA,) if one_alpha else ()))
        own = _cells(grid, grids)
        self.cells = {**_cells(grid, matched), **own}
        known = set(self.groups(own, (ALPHA,)))
        further = [cell for cell in self.cells if cell not in own]
        alike = {
            cell for key, cells in self.groups(further, (ALPHA,)).items() if key in known for cell in cells
        }
        self.cells = {cell: seeds for cell, seeds in self.cells.items() if cell in own or cell in alike}
        self.cells = {cell: self.cells[cell] for cell in self.select(where)}

    def select(self, *selections: Selection) -> list[str]:
        """Return the cells that agree with all selections, in the order of the grids."""
        wanted = [(axis, self._choice(axis, values)) for each in selections for axis, values in each.items()]
        return [
            cell for cell in self.cells if all(self.read(cell, axis) in values for axis, values in wanted)
        ]

    def groups(self, cells: Iterable[str], changed: Iterable[str]) -> dict[Key, list[str]]:
        """Return the cells by what they have in all keys but `changed`."""
        kept = [key for key in self.keys if key not in changed]
        found: dict[Key, list[str]] = {}
        for cell in cells:
            found.setdefault(tuple(self.read(cell, key) for key in kept), []).append(cell)
        return found

    def changed(self, axes: Iterable[str]) -> set[str]:
        """Return the keys in which compared runs may differ: `axes`, and what these bring with them.

        An add-on brings its policy and objective; an entry, or another part (schedule.use), brings the
        settings of its part. Alpha is not among them: with `one_alpha` compared runs agree in it, else it is
        no key.
        """
        named = set(axes)
        if ADDON in named:
            named |= {POLICY, OBJECTIVE}
        sections = {axis.removesuffix(".use") for axis in named}
        brought = {key for key in self.keys if is_setting(key) and key.partition(".")[0] in sections}
        return named | (brought - {ALPHA})

    def read(self, cell: str, axis: str) -> Any:
        """Return the choice of a cell for an axis, or its value of a setting; None where it has none."""
        name = next(iter(self.cells[cell].values()))
        spec = self._grid.runs[name]
        if axis == RECIPE:
            return self._grid.cells[name].recipe
        if axis in AXIS:
            return spec.axes.get(axis)
        section, _, key = axis.partition(".")
        value = spec.settings.get(section, {}).get(key)
        plain = value is None or isinstance(value, bool | int | float | str)
        return value if plain else canonical_json(value)

    def group(self, cell: str) -> Key:
        """Return what the noise of a cell depends on: recipe and data set."""
        return self.read(cell, RECIPE), self.read(cell, "dataset")

    def titles(self, cells: Sequence[tuple[str, ...]], changed: Iterable[str] = ()) -> list[str]:
        """Return a title for each tuple of compared cells: what not all of the tuples have in common."""
        keys = [key for key in self.keys if key != RECIPE]
        told = [
            {
                (place, key): self._title(cell, key)
                for place, cell in enumerate(compared)
                for key in keys
                if place == 0 or key in changed
            }
            for compared in cells
        ]
        shown = [place for place in (told[0] if told else ()) if len({each[place] for each in told}) > 1]
        return [", ".join(filter(None, (each[place] for place in shown))) or "all" for each in told]

    def title(self, cell: str, keys: Iterable[str]) -> str:
        """Return the titles of a cell's choices for `keys`."""
        return ", ".join(filter(None, (self._title(cell, key) for key in keys)))

    def _title(self, cell: str, key: str) -> str:
        value = self.read(cell, key)
        if value is None or (key in (POLICY, OBJECTIVE) and self.read(cell, ADDON) is not None):
            return ""
        if is_setting(key):
            return f"{key.partition('.')[2]} {shortest(value)}"
        return self._grid.params.title(key, value)

    def _choice(self, axis: str, values: Any) -> list[Any]:
        """Return the values that a selection of an axis or setting names; `load_claims` has checked it."""
        if axis not in AXIS:
            return as_list(values)
        return list(choose(self._grid.params, self._grid.document, ("claims",), axis, values))


def _cells(grid: Grid, grids: Iterable[str]) -> dict[str, dict[int, str]]:
    """Return cell -> seed -> name, of the runs of some grids at the tier."""
    found: dict[str, dict[int, str]] = {}
    for name in dict.fromkeys(name for key in grids for name in grid.grids.get(key, ())):
        spec = grid.runs[name]
        found.setdefault(spec.cell, {})[spec.seed] = name
    return found
