"""The cells of a grid: the product of its lists."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dmix.errors import DmixError
from dmix.grid.addons import with_base
from dmix.grid.axes import AXIS, OBJECTIVE, POLICY
from dmix.grid.cell import Cell, as_list
from dmix.grid.resolve import AS
from dmix.grid.schema import Params
from dmix.grid.spec import AXES
from dmix.grid.yaml_lines import Document, KeyPath

OF_ADDON = (POLICY, OBJECTIVE)
SELECTORS = ("kind", "family", "group", "task")
VANILLA = "vanilla"  # the policy without mixing, and the grid key that adds it with an objective


def cells_of(
    params: Params, document: Document, grid: str, varied: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Cell]:
    """Yield every cell of a grid; `varied` replaces values of axes that are settings (tiers narrow them).

    Raises
    ------
    DmixError: the grid lacks an axis, or names an unknown entry.
    """
    entry = params.grids[grid]
    where: KeyPath = ("grids", grid)
    products = products_of(params, document, grid)
    own = tuple(products[-1])
    extra = [key for key in entry if key not in (*own, "recipe", "seeds", VANILLA)]
    for key in extra:
        if "." not in key:
            raise DmixError(
                f"{document.where(*where, key)}: unknown key",
                f"a grid takes {', '.join(own)}, recipe, seeds, {VANILLA}, and settings as axes, such as "
                "objective.eta",
            )
    if not all(type(seed) is int and seed >= 0 for seed in as_list(entry.get("seeds", []))):
        raise DmixError(f"{document.where(*where, 'seeds')}: seeds are whole numbers of 0 or more")
    for key in ("seeds", *extra):
        if key in entry:
            check_list(document.where(*where, key), as_list(entry[key]))
    recipes = choose(params, document, (*where, "recipe"), "recipe", entry["recipe"])
    values = [as_list(varied.get(key, entry[key])) for key in extra]
    for key, listed in zip(extra, values, strict=True):
        _check_as(params, document, (*where, key), listed)
    for choices in products:
        for picked in itertools.product(*choices.values(), recipes, *values):
            axes = dict(zip(own, picked, strict=False))
            if "addon" in axes:
                addon = with_base(params, axes["addon"])
                axes |= {"policy": addon.policy, "objective": addon.objective}
            variation = tuple(zip(extra, picked[len(own) + 1 :], strict=True))
            yield Cell(axes, str(picked[len(own)]), variation, where)


def _check_as(params: Params, document: Document, where: KeyPath, values: list[Any]) -> None:
    """Refuse a mapping as a value of an extra axis that is not {as: OBJECTIVE}."""
    for value in values:
        if not isinstance(value, Mapping):
            continue
        if set(value) != {AS} or value[AS] not in params.objectives:
            raise DmixError(
                f"{document.where(*where)}: {dict(value)} names no objective",
                f"write a value, or {{{AS}: OBJECTIVE}} for that of the same cell with another objective, "
                f"one of {', '.join(params.objectives)}",
            )


def products_of(params: Params, document: Document, grid: str) -> list[dict[str, list[str]]]:
    """Return the products that make up the grid, each as axis -> entries in the order of `AXES`.

    The last product is the grid's own. With `vanilla: OBJECTIVE` another one comes first: the policy vanilla
    with that objective in place of the grid's policies and objectives. In a grid with `addon`, that axis
    replaces policy and objective.

    Raises
    ------
    DmixError: the grid lacks an axis, or names an unknown entry.
    """
    entry = params.grids[grid]
    where: KeyPath = ("grids", grid)
    axes = _axes_of(document, grid, entry)
    for needed in (*axes, "recipe"):
        if needed not in entry:
            raise DmixError(f"{document.where(*where)}: the grid does not say which {needed}")
    own = {axis: choose(params, document, (*where, axis), axis, entry[axis]) for axis in axes}
    _check_methods(params, document, grid, own["method"])
    if VANILLA not in entry:
        return [own]
    unmixed = {"policy": VANILLA, "objective": entry[VANILLA]}
    named = {axis: choose(params, document, (*where, VANILLA), axis, name) for axis, name in unmixed.items()}
    return [own | named, own]


def _axes_of(document: Document, grid: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the axes of a grid: `AXES`, with `addon` in place of policy and objective if it has one."""
    if "addon" not in entry:
        return AXES
    for said in (*OF_ADDON, VANILLA):
        if said in entry:
            raise DmixError(
                f"{document.where('grids', grid, said)}: its addon says policy and objective already",
                f"leave {said} out; a grid says policy and objective, or addon",
            )
    return (*(axis for axis in AXES if axis not in OF_ADDON), "addon")


def _check_methods(params: Params, document: Document, grid: str, methods: Iterable[str]) -> None:
    """Refuse two-stream methods in grids without an add-on, and supervised ones in grids with one."""
    addon = "addon" in params.grids[grid]
    for method in methods:
        supervised = params.methods[method].task == "supervised"
        if supervised and addon:
            raise DmixError(
                f"{document.where('grids', grid, 'addon')}: {method} has no second stream to mix with",
                "write policy and objective in place of addon",
            )
        if not supervised and not addon:
            raise DmixError(
                f"{document.where('grids', grid, 'policy')}: {method} reads two streams and has an add-on",
                f"write addon in place of policy and objective, such as {', '.join(params.addons)}",
            )


def choose(params: Params, document: Document, where: KeyPath, axis: str, wanted: Any) -> list[str]:
    """Return the entries an axis names: a name, a list of names, or a selector {attribute: values}.

    A selector chooses every entry with these attributes, minus those listed under `except`, plus those
    listed under `also`.
    """
    entries = params.entries(axis)
    if isinstance(wanted, Mapping):
        return _selected(entries, document.where(*where), AXIS[axis].section, wanted)
    names = as_list(wanted)
    check_list(document.where(*where), names)
    for name in names:
        if not isinstance(name, str) or name not in entries:
            raise DmixError(f"{document.where(*where)}: there is no {axis} named {name!r}")
    return names


def check_list(where: str, values: list[Any]) -> None:
    """Refuse an empty list of an axis or of seeds, or one with a value twice; `where` begins the message."""
    if not values:
        raise DmixError(f"{where}: the list is empty, so that nothing would run", "name one at least")
    for index, value in enumerate(values):
        if value in values[:index]:
            raise DmixError(f"{where}: {value!r} is given twice", "delete one of them")


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
