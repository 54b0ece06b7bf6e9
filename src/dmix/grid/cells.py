"""The cells of a grid: the product of its lists."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dmix.errors import DmixError
from dmix.grid.resolve import PART_SECTIONS, Cell, as_list
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.yaml_lines import Document, KeyPath

SELECTORS = ("kind", "family", "group", "task")
VANILLA = "vanilla"  # the policy of a grid's companion, and the key that names its objective


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
    products = products_of(params, document, grid)
    extra = [key for key in entry if key not in (*AXES, "recipe", "seeds", VANILLA)]
    for key in extra:
        if "." not in key:
            raise DmixError(
                f"{document.where(*where, key)}: unknown key",
                f"a grid takes {', '.join(AXES)}, recipe, seeds, {VANILLA}, and settings as axes, such as "
                "objective.eta",
            )
    if not all(type(seed) is int and seed >= 0 for seed in as_list(entry.get("seeds", []))):
        raise DmixError(f"{document.where(*where, 'seeds')}: seeds are whole numbers of 0 or more")
    recipes = choose(params, document, (*where, "recipe"), "recipe", entry["recipe"])
    values = [as_list(varied.get(key, entry[key])) for key in extra]
    for choices in products:
        for picked in itertools.product(*choices.values(), recipes, *values):
            axes = dict(zip(AXES, picked, strict=False))
            variation = tuple(zip(extra, picked[len(AXES) + 1 :], strict=True))
            yield Cell(axes, str(picked[len(AXES)]), variation, where)


def products_of(params: Params, document: Document, grid: str) -> list[dict[str, list[str]]]:
    """Return the entries of each axis, in the order of `AXES`, for each product that the grid is made of.

    These are its own and, before it where the grid says `vanilla: OBJECTIVE`, its companion without mixing:
    the policy vanilla with that objective in place of the grid's policies and objectives.

    Raises
    ------
    DmixError: the grid lacks an axis, or names an entry that is not there.
    """
    entry = params.grids[grid]
    where: KeyPath = ("grids", grid)
    for needed in (*AXES, "recipe"):
        if needed not in entry:
            raise DmixError(f"{document.where(*where)}: the grid does not say which {needed}")
    own = {axis: choose(params, document, (*where, axis), axis, entry[axis]) for axis in AXES}
    if VANILLA not in entry:
        return [own]
    unmixed = {"policy": VANILLA, "objective": entry[VANILLA]}
    named = {axis: choose(params, document, (*where, VANILLA), axis, name) for axis, name in unmixed.items()}
    return [own | named, own]


def choose(params: Params, document: Document, where: KeyPath, axis: str, wanted: Any) -> list[str]:
    """Return the entries an axis names: a name, a list of names, or a selector {attribute: values}.

    A selector takes in every entry with these attributes, those that are added later too, but for the ones
    it names as `except`, and the others that it names as `also`.
    """
    section = "recipes" if axis == "recipe" else PART_SECTIONS[axis]
    entries: Mapping[str, Any] = getattr(params, section)
    if isinstance(wanted, Mapping):
        return _selected(entries, document.where(*where), section, wanted)
    names = as_list(wanted)
    for name in names:
        if name not in entries:
            raise DmixError(f"{document.where(*where)}: there is no {axis} named {name!r}")
    return names


def _selected(entries: Mapping[str, Any], where: str, section: str, wanted: Mapping[str, Any]) -> list[str]:
    own = ("except", "also")
    attributes = {key: as_list(value) for key, value in wanted.items() if key not in own}
    unknown = [key for key in attributes if key not in SELECTORS]
    if unknown or not all(hasattr(entry, key) for key in attributes for entry in entries.values()):
        raise DmixError(f"{where}: {section} cannot be selected by {', '.join(attributes)}")
    chosen = [
        name
        for name, entry in entries.items()
        if all(getattr(entry, key) in values for key, values in attributes.items())
    ]
    excepted, added = (as_list(wanted.get(key, [])) for key in own)
    for name in excepted:
        if name not in chosen:
            raise DmixError(f"{where}: except names {name!r}, which is not selected anyway")
    for name in added:
        if name in chosen or name not in entries:
            reason = "is selected anyway" if name in chosen else f"is no entry of {section}"
            raise DmixError(f"{where}: also names {name!r}, which {reason}")
    if not set(chosen) - set(excepted):
        raise DmixError(f"{where}: no entry of {section} matches")
    return [name for name in entries if (name in chosen and name not in excepted) or name in added]
