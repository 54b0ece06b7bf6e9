"""The cells of a grid: the product of its lists."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dmix.errors import DmixError
from dmix.grid.axes import AXIS
from dmix.grid.resolve import Cell, as_list
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.yaml_lines import Document, KeyPath

SELECTORS = ("kind", "family", "group", "task")


def cells_of(
    params: Params, document: Document, grid: str, varied: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Cell]:
    """Yield every cell of a grid; `varied` are values of its settings as axes that stand in for its own.

    Raises
    ------
    DmixError: the grid lacks an axis, or names an entry that is not there.
    """
    entry = params.grids[grid]
    where: KeyPath = ("grids", grid)
    for needed in (*AXES, "recipe"):
        if needed not in entry:
            raise DmixError(f"{document.where(*where)}: the grid does not say which {needed}")
    extra = [key for key in entry if key not in (*AXES, "recipe", "seeds")]
    for key in extra:
        if "." not in key:
            raise DmixError(
                f"{document.where(*where, key)}: unknown key",
                f"a grid takes {', '.join(AXES)}, recipe, seeds, and settings such as objective.eta as axes",
            )
    if not all(type(seed) is int and seed >= 0 for seed in as_list(entry.get("seeds", []))):
        raise DmixError(f"{document.where(*where, 'seeds')}: seeds are whole numbers of 0 or more")
    choices = [choose(params, document, (*where, axis), axis, entry[axis]) for axis in AXES]
    recipes = choose(params, document, (*where, "recipe"), "recipe", entry["recipe"])
    values = [as_list(varied.get(key, entry[key])) for key in extra]
    for picked in itertools.product(*choices, recipes, *values):
        axes = dict(zip(AXES, picked, strict=False))
        variation = tuple(zip(extra, picked[len(AXES) + 1 :], strict=True))
        yield Cell(axes, str(picked[len(AXES)]), variation, where)


def choose(params: Params, document: Document, where: KeyPath, axis: str, wanted: Any) -> list[str]:
    """Return the entries an axis names: a name, a list of names, or a selector {attribute: values}.

    A selector takes in every entry with these attributes, those that are added later too, but for the ones
    it names as `except`.
    """
    entries = params.entries(axis)
    if isinstance(wanted, Mapping):
        return _selected(entries, document.where(*where), AXIS[axis].section, wanted)
    names = as_list(wanted)
    for name in names:
        if name not in entries:
            raise DmixError(f"{document.where(*where)}: there is no {axis} named {name!r}")
    return names


def _selected(entries: Mapping[str, Any], where: str, section: str, wanted: Mapping[str, Any]) -> list[str]:
    attributes = {key: as_list(value) for key, value in wanted.items() if key != "except"}
    unknown = [key for key in attributes if key not in SELECTORS]
    if unknown or not all(hasattr(entry, key) for key in attributes for entry in entries.values()):
        raise DmixError(f"{where}: {section} cannot be selected by {', '.join(attributes)}")
    chosen = [
        name
        for name, entry in entries.items()
        if all(getattr(entry, key) in values for key, values in attributes.items())
    ]
    excepted = as_list(wanted.get("except", []))
    for name in excepted:
        if name not in chosen:
            raise DmixError(f"{where}: except names {name!r}, which is not selected anyway")
    if not set(chosen) - set(excepted):
        raise DmixError(f"{where}: no entry of {section} matches")
    return [name for name in chosen if name not in excepted]
